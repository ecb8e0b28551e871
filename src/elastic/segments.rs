//! Segments: the bytes of a body, which need not stand in one piece.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Bytes that are sent one behind the other, without a copy of any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(VecDeque<Bytes>);

impl Segments {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes they are together.
    pub fn bytes(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter()
    }
}

/// Those that are empty are left out.
impl FromIterator<Bytes> for Segments {
    fn from_iter<T: IntoIterator<Item = Bytes>>(segments: T) -> Segments {
        Segments(segments.into_iter().filter(|segment| !segment.is_empty()).collect())
    }
}

impl<T: Into<Bytes>> From<T> for Segments {
    fn from(bytes: T) -> Segments {
        [bytes.into()].into_iter().collect()
    }
}

/// A single one needs no box.
impl From<Segments> for reqwest::Body {
    fn from(mut segments: Segments) -> reqwest::Body {
        match segments.0.len() {
            0 | 1 => segments.0.pop_front().unwrap_or_default().into(),
            _ => reqwest::Body::wrap(segments),
        }
    }
}

impl http_body::Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|segment| Ok(Frame::data(segment))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[test]
    fn a_body_of_several_segments_says_its_length_and_a_single_one_is_passed_on() {
        let several: Segments = ["{}\n", "", "{\"a\":1}\n"].map(Bytes::from).into_iter().collect();
        assert_eq!((several.iter().count(), several.bytes()), (2, 11));
        let body = reqwest::Body::from(several);
        assert_eq!((body.size_hint().exact(), body.as_bytes()), (Some(11), None));
        let body = reqwest::Body::from(Segments::from("{}\n"));
        assert_eq!((body.size_hint().exact(), body.as_bytes()), (Some(3), Some(&b"{}\n"[..])));
        assert_eq!(reqwest::Body::from(Segments::default()).as_bytes(), Some(&b""[..]));
    }
}
