#![no_main]

use allo::fuzzing::Target;

libfuzzer_sys::fuzz_target!(|input: &[u8]| Target::Plan.run(input));
