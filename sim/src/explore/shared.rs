//! A part of a state that many states have in common.

use super::fingerprint::{self, Fingerprint};
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;

/// A value with its fingerprint: cloning copies a pointer, and only a changed part is hashed again.
#[derive(Debug)]
pub struct Shared<T> {
    value: Arc<T>,
    fingerprint: Fingerprint,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared { value: Arc::clone(&self.value), fingerprint: self.fingerprint }
    }
}

impl<T: Hash + Clone> Shared<T> {
    /// Takes the value.
    pub fn new(value: T) -> Shared<T> {
        let fingerprint = fingerprint::of(&value);
        Shared { value: Arc::new(value), fingerprint }
    }

    /// What it is recognised by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Changes it in place where nobody shares it, else a copy of it.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(Arc::make_mut(&mut self.value));
        self.fingerprint = fingerprint::of(&*self.value);
        result
    }

    /// Whether both are one allocation, so that nothing can have changed between them.
    pub fn is_same(&self, other: &Shared<T>) -> bool {
        Arc::ptr_eq(&self.value, &other.value)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// Gives equal parts one allocation: in a layer of a search a few thousand rows serve a million states.
#[derive(Debug)]
pub struct Interner<T> {
    known: std::collections::BTreeMap<Fingerprint, Arc<T>>,
}

impl<T> Default for Interner<T> {
    fn default() -> Interner<T> {
        Interner { known: std::collections::BTreeMap::new() }
    }
}

impl<T> Interner<T> {
    /// Lets `part` point at the first value of its fingerprint that came here.
    pub fn intern(&mut self, part: &mut Shared<T>) {
        let known = self.known.entry(part.fingerprint).or_insert_with(|| Arc::clone(&part.value));
        part.value = Arc::clone(known);
    }
}
