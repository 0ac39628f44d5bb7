"""From a filter's name to its FIR: what was asked, its members, what was built, and words for it."""
