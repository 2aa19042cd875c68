"""Places to run trainers: what starts a host agent there. One file each."""
