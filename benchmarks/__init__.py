"""How fast HOMEPOT is, beside a bare Django view on the same server: `make bench`."""
