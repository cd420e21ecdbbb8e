//! Tells the program where to look for a linked `libduckdb.so`: beside itself, then where it was linked from.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    let has = |feature: &str| std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    if has("DUCKDB") && !has("DUCKDB_BUNDLED") {
        // Children of the program get no environment, so `LD_LIBRARY_PATH` would not reach them.
        println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN");
        if let Ok(directory) = std::env::var("DUCKDB_LIB_DIR") {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{directory}");
        }
    }
}
