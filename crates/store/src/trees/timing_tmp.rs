#[test]
fn timing_tmp() {
    let scratch = crate::scratch::Scratch::of(std::path::Path::new("/tmp/assay-tree-timing"));
    let disk = crate::durable::Disk::new(scratch.path().join("tmp"));
    let blobs = crate::blobs::Blobs::new(scratch.path().join("blobs"), disk.clone());
    let trees = super::Trees::new(scratch.path().join("trees"), blobs, disk);
    let mut entries = Vec::new();
    let mut total = 0;
    let mut stack = vec![std::path::PathBuf::from("/usr/share"), "/usr/lib".into(), "/usr/include".into()];
    while let Some(d) = stack.pop() {
        for e in std::fs::read_dir(&d).unwrap() {
            let e = e.unwrap();
            let t = e.file_type().unwrap();
            if t.is_dir() { stack.push(e.path()); }
            else if t.is_file() && total < 700_000_000 {
                let Some(p) = e.path().to_str().map(|p| p[1..].to_owned()) else { continue };
                total += e.metadata().unwrap().len();
                entries.push((p, super::Source::File { path: e.path(), executable: false }));
            }
        }
    }
    let n = entries.len();
    let t = std::time::Instant::now();
    let (d, _) = trees.import(entries, None).unwrap();
    eprintln!("IMPORT {n} files {total} bytes {:?}", t.elapsed());
    let t = std::time::Instant::now();
    assert_eq!(trees.verify(&d).unwrap().len(), 0);
    eprintln!("VERIFY {:?}", t.elapsed());
}
