"""Clips that come with a video: reading frames, and the network that looks at frames and joints."""
