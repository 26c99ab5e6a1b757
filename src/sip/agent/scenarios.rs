//! Calls played without sockets.
