//! The caller's memory that a call fills, once nothing can fail any more.

use std::marker::PhantomData;

use crate::error::Fault;

/// Where one value goes.
pub(crate) struct Output<'a, T> {
    pointer: *mut T,
    lifetime: PhantomData<&'a mut T>,
}

impl<T> Output<'_, T> {
    /// # Safety
    /// `pointer` is aligned, and a `T` can be written there as long as the value lives.
    pub(crate) unsafe fn new(pointer: *mut T) -> Self {
        Self {
            pointer,
            lifetime: PhantomData,
        }
    }

    /// Writes `value`; what was there is memory of C, and not dropped.
    pub(crate) fn write(self, value: T) {
        // SAFETY: the promise of `new`.
        unsafe { self.pointer.write(value) }
    }
}

impl<T> Output<'_, *mut T> {
    /// Gives `object` to C, which owns it from now on and returns it to [`free`](crate::boundary::free).
    pub(crate) fn hand_over(self, object: T) {
        self.write(Box::into_raw(Box::new(object)));
    }
}

/// Where some values go.
pub(crate) struct Buffer<'a, T> {
    name: &'static str,
    pointer: *mut T,
    capacity: usize,
    lifetime: PhantomData<&'a mut T>,
}

impl<T> Buffer<'_, T> {
    /// # Safety
    /// `pointer` is aligned, and `capacity` values can be written there as long as this lives.
    pub(crate) unsafe fn new(name: &'static str, pointer: *mut T, capacity: usize) -> Self {
        Self {
            name,
            pointer,
            capacity,
            lifetime: PhantomData,
        }
    }

    /// How many values fit.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Refuses a buffer of fewer than `needed` elements.
    pub(crate) fn require(&self, needed: usize) -> Result<(), Fault> {
        match needed <= self.capacity {
            true => Ok(()),
            false => Err(Fault::BufferTooSmall {
                name: self.name,
                needed,
                capacity: self.capacity,
            }),
        }
    }

    /// Writes `values`, as many as fit, and returns how many that is.
    pub(crate) fn fill(self, values: impl IntoIterator<Item = T>) -> usize {
        let mut count = 0;
        for value in values.into_iter().take(self.capacity) {
            // SAFETY: `count` is below `capacity`; the rest is the promise of `new`.
            unsafe { self.pointer.add(count).write(value) };
            count += 1;
        }
        count
    }
}

/// Where a text goes: with a NUL at its end, and its length in bytes without that.
pub(crate) struct Text<'a> {
    /// None where only the length is asked for.
    room: Option<Buffer<'a, u8>>,
    length: Option<Output<'a, usize>>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(room: Option<Buffer<'a, u8>>, length: Option<Output<'a, usize>>) -> Self {
        Self { room, length }
    }

    /// Writes `text` whole, or nothing.
    pub(crate) fn write(self, text: &str) -> Result<(), Fault> {
        if let Some(room) = &self.room {
            room.require(text.len() + 1)?;
        }
        self.put(text, text.len());
        Ok(())
    }

    /// Writes the beginning of `text`, as many whole characters as fit; the length is that of all of it.
    pub(crate) fn write_cut(self, text: &str) -> Result<(), Fault> {
        if let Some(room) = &self.room {
            room.require(1)?;
        }
        let fits = self.room.as_ref().map_or(0, |room| room.capacity() - 1);
        self.put(&text[..text.floor_char_boundary(fits)], text.len());
        Ok(())
    }

    fn put(self, text: &str, length: usize) {
        if let Some(room) = self.room {
            room.fill(text.bytes().chain([0]));
        }
        if let Some(output) = self.length {
            output.write(length);
        }
    }
}
