//! Comparison of the file of another site with the own one.

use super::{OwnFile, OwnStanding};
use crate::nat::packet::FileHead;

/// File of another site, compared with the own one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// A file of the same serial and content.
    Same,
    /// An older file.
    Older,
    /// A newer file.
    Newer,
    /// Another file with the same serial, although admins have signed both.
    Conflict,
    /// A file that was changed at the other site, and not signed.
    Edited,
    /// The other site has not told yet.
    Unknown,
}

impl Relation {
    /// All relations.
    pub const ALL: [Self; 6] =
        [Self::Same, Self::Older, Self::Newer, Self::Conflict, Self::Edited, Self::Unknown];

    /// Returns the relation as one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Older => "older",
            Self::Newer => "newer",
            Self::Conflict => "conflict",
            Self::Edited => "edited",
            Self::Unknown => "unknown",
        }
    }

    /// Compares the own file with the last version that another site has offered, and whether that is signed.
    pub(super) fn of(own: &OwnFile, offered: Option<(FileHead, bool)>) -> Self {
        let Some((head, is_signed)) = offered else { return Self::Unknown };
        if head.hash == own.head.hash {
            Self::Same
        } else if !is_signed && head.serial > 0 {
            Self::Edited
        } else if head.serial > own.head.serial {
            Self::Newer
        } else if head.serial < own.head.serial || own.standing != OwnStanding::Signed {
            // A signed file with the serial of an edited one is the file before the edit.
            Self::Older
        } else {
            Self::Conflict
        }
    }
}
