fn main() {
    // The migrations are compiled in; without this line a new file would not be noticed.
    println!("cargo:rerun-if-changed=migrations");
}
