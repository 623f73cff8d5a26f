"""`mainspring demo`: the whole lifecycle, once, on every flight that left New York in 2013."""
