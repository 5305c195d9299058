"""The nine stages, one file each: from frozen records to one frozen record. No stage imports another."""
