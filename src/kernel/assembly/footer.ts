// The footer of a frame; byte positions as in codec/FORMAT.md.

export const FOOTER_BYTES: usize = 32;
export const FOOTER_VERSION: usize = 8;
export const FOOTER_CHECKSUM: usize = 16;
export const FOOTER_MAGIC: usize = 24;

/** Format version 1, no flags, reserved zero: the eight bytes at FOOTER_VERSION. */
export const VERSION_AND_FLAGS: u64 = 1;
/** "TIDEMARK", read as a little-endian u64. */
export const MAGIC: u64 = 0x4b52414d45444954;
