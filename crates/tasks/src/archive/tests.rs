use std::io::Write as _;

use super::*;

const LIMITS: ArchiveLimits = ArchiveLimits { entries: 5, bytes: 1 << 20, ratio: 10, free_bytes: 4096 };

/// An entry of a zip file: its name, its declared size, its mode, and its bytes, which are stored as they are.
struct Member(&'static [u8], u32, u32, &'static [u8]);

/// A zip file; `local` may give entries another name where they begin.
fn zip_of(members: &[Member], local: impl Fn(&'static [u8]) -> &'static [u8]) -> Vec<u8> {
    let (mut file, mut list) = (Vec::new(), Vec::new());
    for Member(name, size, mode, bytes) in members {
        let (offset, there) = (file.len() as u32, local(name));
        let stored = bytes.len() as u32;
        file.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0");
        file.extend([0; 4]);
        file.extend(stored.to_le_bytes());
        file.extend(size.to_le_bytes());
        file.extend((there.len() as u16).to_le_bytes());
        file.extend([0; 2]);
        file.extend(there);
        file.extend(*bytes);
        list.extend(b"PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0\0\0");
        list.extend([0; 4]);
        list.extend(stored.to_le_bytes());
        list.extend(size.to_le_bytes());
        list.extend((name.len() as u16).to_le_bytes());
        list.extend([0; 8]);
        list.extend((mode << 16).to_le_bytes());
        list.extend(offset.to_le_bytes());
        list.extend(*name);
    }
    let (begin, length, count) = (file.len() as u32, list.len() as u32, (members.len() as u16).to_le_bytes());
    file.extend(list);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count);
    file.extend(count);
    file.extend(length.to_le_bytes());
    file.extend(begin.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// An entry of a tar file.
fn tar_entry(name: &[u8], kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
    header[148..156].fill(b' ');
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut entry = header.to_vec();
    entry.extend(bytes);
    entry.resize(entry.len().div_ceil(512) * 512, 0);
    entry
}

fn tar_of(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

fn property(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = rest.len() + if rest.len() + 2 > 99 { 3 } else { 2 };
    tar_entry(b"properties", b'x', format!("{length}{rest}").as_bytes())
}

fn looked(name: &str, bytes: &[u8]) -> Result<Contents, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    check(file.path(), name, LIMITS).map_err(|error| error.to_string())
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn archives_of_files_and_folders_are_let_through() {
    let good = [
        Member(b"src/", 0, 0o040_755, b""),
        Member(b"src/train.py", 5, 0o100_644, b"print"),
        Member("été.txt".as_bytes(), 1, 0, b"x"),
    ];
    assert_eq!(looked("p.ZIP", &zip_of(&good, |name| name)), Ok(Contents { entries: 3, bytes: 6 }));
    assert_eq!(looked("p.zip", &zip_of(&[], |name| name)), Ok(Contents::default()));
    let tar = tar_of(&[
        tar_entry(b"comment", b'g', b"52 comment=0123456789012345678901234567890123456789\n"),
        tar_entry(b"./", b'5', b""),
        tar_entry(b"./a", b'0', b"12345"),
        property("path", "d/long name"),
        tar_entry(b"short", b'0', b"1"),
        tar_entry(b"././@LongLink", b'L', b"d/longer\0"),
        tar_entry(b"cut", b'0', b""),
    ]);
    assert_eq!(looked("p.tar", &tar), Ok(Contents { entries: 4, bytes: 6 }));
    assert_eq!(looked("p.tgz", &packed(&tar)), Ok(Contents { entries: 4, bytes: 6 }));
}

#[test]
fn what_common_programs_make_is_let_through() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("project/deep")).unwrap();
    // Longer than a header has room for, with its folders.
    let long = "n".repeat(95);
    std::fs::write(folder.path().join("project/deep").join(long), "long").unwrap();
    std::fs::write(folder.path().join("project/été.py"), "print(1)").unwrap();
    let made = |words: &[&str]| {
        std::process::Command::new(words[0])
            .args(&words[1..])
            .current_dir(folder.path())
            .status()
            .is_ok_and(|s| s.success())
    };
    for format in ["gnu", "pax", "ustar"] {
        assert!(made(&["tar", "-cf", "a.tar", "--format", format, "project"]));
        let contents = check(&folder.path().join("a.tar"), "a.tar", LIMITS).unwrap();
        assert_eq!(contents, Contents { entries: 4, bytes: 12 }, "{format}");
    }
    assert!(made(&["tar", "-czf", "a.tar.gz", "."]));
    check(&folder.path().join("a.tar.gz"), "a.tar.gz", ArchiveLimits::default()).unwrap();
    // Not every machine has Python.
    if made(&["python3", "-m", "zipfile", "-c", "a.zip", "project"]) {
        assert_eq!(check(&folder.path().join("a.zip"), "a.zip", LIMITS).unwrap().bytes, 12);
    }
}

/// e079 | an archive holds `../x`, a full path, links, devices, names twice, entries that share bytes or have two sizes, a million entries, or unpacks to a thousand times its size | refused when it is sent, with the entry and the reason; nothing is unpacked anywhere
#[test]
fn e079_archives_that_do_harm_are_refused() {
    let file = |name: &'static [u8]| zip_of(&[Member(name, 1, 0o100_644, b"x")], |name| name);
    let refused = |name: &str, bytes: &[u8], reason: &str| {
        let said = looked(name, bytes).unwrap_err();
        assert!(said.contains(reason), "`{said}` instead of `{reason}`");
    };
    for (name, reason) in [
        (&b"../x"[..], "`../x`, which leads out"),
        (b"a/../../x", "leads out"),
        (b"/etc/x", "not a path inside"),
        (b"C:/x", "not a path inside"),
        (b"a\\..\\x", "backslash"),
        (b"a\nb", "control characters"),
        (b"a//b", "no plain path"),
        (b"", "no name"),
    ] {
        refused("p.zip", &file(name), reason);
        if !name.is_empty() {
            refused("p.tar", &tar_of(&[tar_entry(name, b'0', b"x")]), reason);
        }
    }
    // Links, and what is no file.
    refused("p.zip", &zip_of(&[Member(b"l", 4, 0o120_777, b"/etc")], |name| name), "`l` in the zip file is a link");
    for (kind, reason) in [
        (b'2', "`l` in the tar file is a link"),
        (b'1', "link"),
        (b'3', "no plain file"),
        (b'6', "no plain file"),
        (b'S', "no plain file"),
    ] {
        refused("p.tar", &tar_of(&[tar_entry(b"l", kind, b"")]), reason);
    }
    // Bombs.
    let many: Vec<_> =
        [&b"1"[..], b"2", b"3", b"4", b"5", b"6"].into_iter().map(|name| Member(name, 0, 0, b"")).collect();
    refused("p.zip", &zip_of(&many, |name| name), "more than 5 files");
    refused("p.zip", &zip_of(&[Member(b"b", 900_000, 0, b"x")], |name| name), "more than 10 times as many");
    refused("p.zip", &zip_of(&[Member(b"b", 2 << 20, 0, b"x")], |name| name), "more than 1048576 bytes");
    refused("p.tgz", &packed(&tar_of(&[tar_entry(b"b", b'0', &vec![0; 900_000])])), "more than 10 times as many");
    // What two programs would read differently.
    refused("p.zip", &zip_of(&[Member(b"a", 1, 0, b"x"), Member(b"a", 1, 0, b"y")], |name| name), "`a` twice");
    refused("p.zip", &zip_of(&[Member(b"a", 1, 0, b"x")], |_| b"b"), "another one where it begins");
    let mut shared = zip_of(&[Member(b"a", 1, 0, b"x"), Member(b"b", 1, 0, b"y")], |name| name);
    // The first entry says that its bytes go on into the second.
    let list = shared.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    shared[list + 20] = 20;
    refused("p.zip", &shared, "share their bytes");
    refused("p.zip", &[b"#!/bin/sh\n", &file(b"a")[..]].concat(), "before or between");
    refused("p.tar", &tar_of(&[property("size", "7"), tar_entry(b"a", b'0', b"x")]), "two sizes");
    refused("p.tar", &tar_of(&[property("GNU.sparse.major", "1"), tar_entry(b"a", b'0', b"x")]), "holes");
    refused("p.tar", &tar_of(&[property("path", "../x"), tar_entry(b"a", b'0', b"x")]), "leads out");
    // What is none, or is cut.
    refused("p.zip", b"", "none, or is not whole");
    refused("p.zip", &file(b"a")[..40], "none, or is not whole");
    refused("p.tar", b"not a tar file", "ends in its middle");
    refused("p.tar", &[b'x'; 512], "no tar file");
    refused("p.tar", &tar_entry(b"a", b'0', b"x"), "ends in its middle");
    refused("p.tgz", b"this is no gzip file, whatever its name says", "damaged");
    refused("p.tgz", &packed(&tar_of(&[tar_entry(b"a", b'0', b"x")]))[..40], "ends in its middle");
}

#[test]
fn damaged_archives_are_no_panic() {
    let zip = zip_of(&[Member(b"src/", 0, 0o040_755, b""), Member(b"a", 2, 0o100_644, b"xy")], |name| name);
    let tar = tar_of(&[property("path", "d/x"), tar_entry(b"a", b'0', b"12345")]);
    for (name, whole) in [("p.zip", zip), ("p.tar", tar)] {
        for at in 0..whole.len().min(1200) {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                // Whatever it says.
                let _ = looked(name, &bytes);
            }
        }
    }
}
