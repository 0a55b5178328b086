//! One small file per role: it wires a machine of core to ports and has no branch of the domain.
