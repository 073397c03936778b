"""Options of the networks, apart from them: a config is read and checked before torch is imported."""
