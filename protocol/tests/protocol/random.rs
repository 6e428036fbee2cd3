//! Random values of the protocol's types, from a seed, for laws that must hold for all of them.
