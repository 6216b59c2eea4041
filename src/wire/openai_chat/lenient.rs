//! Fields that are read for what they are worth: a value of the wrong type is taken for absent,
//! because compatible servers write `null`, `""`, numbers and objects where the reference has none.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// A text; empty when absent.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) String);

/// A whole number.
#[derive(Debug, Default)]
pub(super) struct Count(pub(super) Option<u64>);

/// What a lenient field can be made of.
trait Lenient: Default {
    fn of_str(text: &str) -> Self;
    fn of_u64(number: u64) -> Self;
}

struct Any<T>(PhantomData<T>);

// === impl Text, Count ===

impl Lenient for Text {
    fn of_str(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn of_u64(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl Lenient for Count {
    fn of_str(text: &str) -> Self {
        Self(text.parse().ok())
    }

    fn of_u64(number: u64) -> Self {
        Self(Some(number))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

// === impl Any ===

impl<'de, T: Lenient> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::of_str(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::of_u64(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    /// Transformers' server counts its seconds in fractions.
    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        let is_count = number.is_finite() && (0.0..9e15).contains(&number);
        Ok(if is_count { T::of_u64(number as u64) } else { T::default() })
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }
}
