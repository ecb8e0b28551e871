//! Figures: how good is a model, by the labels that are known, and by confidence alone where none are?
//!
//! Pure: no files, no clock, no network.
