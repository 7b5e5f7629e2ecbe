// What harm came of `planted` texts on a page: elements that only they can have made, and texts
// with marks of direction that do not stand alone, and so turn around what stands beside them.
(planted) => {
  const harm = [];
  for (const element of document.querySelectorAll("[onload], [onerror], [src*=pwned]")) {
    harm.push(`made an element: ${element.outerHTML.slice(0, 100)}`);
  }

  const isIsolated = (element) => {
    const { display, unicodeBidi } = getComputedStyle(element);
    return !["inline", "contents"].includes(display) || /isolate|plaintext/.test(unicodeBidi);
  };
  const isolateOf = (node) => {
    let element = node.parentElement;
    while (!isIsolated(element)) element = element.parentElement;
    return element;
  };
  const textsIn = (element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    return texts;
  };

  for (const text of textsIn(document.body)) {
    if (!/[\u202a-\u202e\u2066-\u2069]/.test(text.data)) continue;
    if (text.parentElement.closest("script, style, textarea")) continue;
    const isolate = isolateOf(text);
    const words = text.data.trim().replace(/…$/, "");
    const beside = textsIn(isolate).filter((other) => other !== text && isolateOf(other) === isolate);
    if (!planted.some((whole) => whole.startsWith(words)) || beside.some((other) => other.data.trim())) {
      harm.push(`turned around: ${isolate.outerHTML.slice(0, 300)}`);
    }
  }
  return harm;
};
