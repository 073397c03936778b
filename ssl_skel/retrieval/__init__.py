"""Search motions like documents: an index of clips or windows on disk, and queries to it."""
