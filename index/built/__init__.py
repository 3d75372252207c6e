"""A catalogue's folder: how it is built, what its manifest says, how it is opened and exchanged."""
