"""``ssl-skel view``: gathers what a run, an evaluation or a store has to show, and makes its page or picture."""
