//! Finds the public key in a certificate. Of X.509 it reads the way there and nothing else.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// The version of the certificate. It is left out by the oldest one.
const VERSION: u8 = 0xa0;

/// The `SubjectPublicKeyInfo` of a certificate in DER, with its header, or `None` if it is no certificate.
///
/// The fields before it, by RFC 5280: version, serial number, algorithm of the signature, issuer, validity, subject.
pub(super) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let mut outermost = Elements(certificate);
    let mut signed = Elements(outermost.contents(SEQUENCE)?);
    if !outermost.0.is_empty() {
        return None;
    }
    let mut fields = Elements(signed.contents(SEQUENCE)?);
    if fields.0.first() == Some(&VERSION) {
        fields.contents(VERSION)?;
    }
    for before in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        fields.contents(before)?;
    }
    let from = fields.0;
    fields.contents(SEQUENCE)?;
    from.get(..from.len().checked_sub(fields.0.len())?)
}

/// The elements that are still to be read, one behind the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Takes the next element, which must have this tag, and gives what is in it.
    fn contents(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Sixteen megabytes are enough for a certificate; without a limit the length would need an overflow check.
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (found == tag).then_some(contents)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An element, its length in the shortest form.
    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
        let header = match (high, low) {
            (0, 0..=0x7f) => vec![tag, low],
            (0, _) => vec![tag, 0x81, low],
            _ => vec![tag, 0x82, high, low],
        };
        [&header, contents].concat()
    }

    fn certificate(version: &[u8], key: &[u8]) -> Vec<u8> {
        let sequence = |length: usize| element(SEQUENCE, &vec![0; length]);
        let serial = element(INTEGER, &[1]);
        let fields = [version, &serial, &sequence(13), &sequence(200), &sequence(30), &sequence(300), key, &[0xa3, 0]];
        let signed = element(SEQUENCE, &fields.concat());
        element(SEQUENCE, &[signed, sequence(13), element(0x03, &[0; 257])].concat())
    }

    #[test]
    fn the_key_is_found_behind_six_fields_or_five() {
        let key = element(SEQUENCE, &[7; 290]);
        for version in [&[0xa0, 3, 2, 1, 2][..], &[]] {
            assert_eq!(public_key(&certificate(version, &key)), Some(&*key));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_key() {
        let key = element(SEQUENCE, &[7; 290]);
        let good = certificate(&[], &key);
        let trailing = [&*good, &[0]].concat();
        let other_tag = certificate(&[], &element(0x31, &[7; 290]));
        let endless = [0x30, 0x80, 0x30, 0x80, 0, 0, 0, 0];
        let huge = [0x30, 0x84, 0xff, 0xff, 0xff, 0xff];
        let overflowing = [0x30, 0xff];
        for bytes in [&[][..], &[0x30], &trailing, &other_tag, &endless, &huge, &overflowing, &key] {
            assert_eq!(public_key(bytes), None);
        }
        for length in 0..good.len() {
            assert_eq!(public_key(&good[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>(), at in 0..600_usize, with in any::<u8>()) {
            let _ = public_key(&bytes);
            let mut damaged = certificate(&[0xa0, 3, 2, 1, 2], &element(SEQUENCE, &[7; 290]));
            damaged[at] = with;
            let _ = public_key(&damaged);
        }
    }
}
