//! Placing: the values of one member, straight from the JSON library into their slots.
//!
//! The library reads names and numbers on its one way through the text, which costs a third of a walk over values as they were written.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::places::Places;
use super::value::Value;
use super::words::{Kind, Slot};

/// Where the values of a member go.
pub(super) struct Placing<'p> {
    pub(super) places: &'p mut Places,
    pub(super) kind: Kind,
    /// The name of the feature so far.
    pub(super) path: &'p mut String,
    /// How many features of the baseline came before.
    pub(super) turn: &'p mut usize,
    pub(super) slots: &'p mut [Slot],
}

impl Placing<'_> {
    /// Places what stands in raw JSON. `None` when it cannot be told without the text of a number: that of a category, or of one
    /// that is too large.
    pub(super) fn read(&mut self, raw: &str) -> Option<()> {
        self.deserialize(&mut sonic_rs::Deserializer::from_str(raw)).ok()
    }

    /// Places the value of the feature whose name is complete, if it is the first one; `slot` may not know.
    fn place<E: Error>(&mut self, slot: impl FnOnce(&Places, usize) -> Option<Slot>) -> Result<(), E> {
        if self.path.is_empty() {
            return Ok(());
        }
        let place = self.places.place_at(self.kind, self.path, self.turn);
        if let Some(place) = place.filter(|place| self.slots[*place] == Slot::Missing) {
            self.slots[place] = slot(self.places, place).ok_or_else(|| E::custom("its text is needed"))?;
        }
        Ok(())
    }

    fn place_value<E: Error>(&mut self, value: &Value<'_>) -> Result<(), E> {
        self.place(|places, place| Some(places.slot(place, value)))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Placing<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Placing<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.place_value(&Value::Missing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.place_value(&Value::Text(if value { "true" } else { "false" }.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.place(|places, place| Some(places.slot_of_integer(place, value.into())))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.place(|places, place| Some(places.slot_of_integer(place, value.into())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.place(|places, place| places.slot_of_number(place, value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.place_value(&Value::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        self.place_value(&Value::Unusable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        if self.kind != Kind::Feature {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return self.place_value(&Value::Unusable);
        }
        let parent = self.path.len();
        while members.next_key_seed(Name(self.path))?.is_some() {
            members.next_value_seed(&mut *self)?;
            self.path.truncate(parent);
        }
        Ok(())
    }
}

/// Appends the name of a member to the path that leads to it.
struct Name<'p>(&'p mut String);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        Ok(())
    }
}
