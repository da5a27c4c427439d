"""Models on the move: blobs in chunks, each named by its hash, from as many peers at once as have them.

`transfer` decides what is asked of whom (with `pieces` and `source`) and `fetching` does it; `protocol` answers others,
in turns that `uploads` gives out.
"""
