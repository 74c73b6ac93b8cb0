"""Sockets and capture files: where datagrams come from and go to. The only ctypes."""
