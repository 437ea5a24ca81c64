//! (to be written)

/// One output of the settings: a name for `device =`, what it is, and whether it is the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLine {
    pub name: String,
    pub description: String,
    pub is_default: bool,
}

/// The cards and other ALSA devices that `device =` can name. Opens none of them.
pub fn devices() -> Vec<DeviceLine> {
    Vec::new()
}
