"""The one way from any path to clips.

``open`` finds the reader of a raw path, ``reading`` turns its files into normalised clips, ``recordings`` gives the
clips of a path (a store, a raw file, a folder of raw files) in memory.
"""
