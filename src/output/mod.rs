//! (to be written)

/// One sound card that may be played on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What to write after `device =`.
    pub name: String,
    /// In words.
    pub about: String,
    pub is_default: bool,
}

/// Every card there is, without opening any.
pub fn devices() -> Vec<Device> {
    Vec::new()
}
