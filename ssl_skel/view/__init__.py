"""``ssl-skel view``: gathers the contents of a run, an evaluation or a store, and makes its page or picture."""
