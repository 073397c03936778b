"""Encoders: a stream, a network and a pooling, with the card that describes them."""
