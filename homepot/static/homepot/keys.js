"use strict";

// Copies a new key, or saves several as a file; without scripts they can be selected all the same.
document.addEventListener("DOMContentLoaded", () => {
  const keys = document.getElementById("new-key");
  const said = document.getElementById("new-key-said");
  keys.addEventListener("focus", () => keys.select());
  document.querySelector("[data-homepot-copy]").addEventListener("click", async () => {
    keys.select();
    try {
      await navigator.clipboard.writeText(keys.value);
      said.textContent = "Copied.";
    } catch {
      // Browsers allow it on encrypted connections only.
      said.textContent = "Selected: press Ctrl+C to copy.";
    }
  });
  const save = document.querySelector("[data-homepot-download]");
  save?.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([keys.value + "\n"], { type: "text/csv" }));
    link.download = save.dataset.homepotDownload;
    link.click();
    URL.revokeObjectURL(link.href);
    said.textContent = "Saved.";
  });
});
