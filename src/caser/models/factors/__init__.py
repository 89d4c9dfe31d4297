"""Factor models: BPR-MF and FPMC."""
