"""Rows that have no case here, each with the reason."""

from escape import Elsewhere, Later

CASES = [
    Elsewhere(18, "an image with WORKDIR=/proc/self/fd/N",
          "`tests/e2e/test_base_import.py`, `a_working_folder_of_the_kernel_is_refused`"),
    Elsewhere(19, "an image whose /proc, /dev, /sys or /tmp is a link (CVE-2019-19921, CVE-2021-30465)",
          "`tests/e2e/test_base_root.py`, `links_of_a_base_at_our_mount_points_lead_nowhere`"),
    Elsewhere(21, "a tar layer with ../, absolute names, hard links and links to outside",
          "`tests/e2e/test_base_import.py`, class Hostile"),
    Elsewhere(22, "archive bombs",
          "`tests/e2e/test_base_import.py`, class Hostile"),
    Elsewhere(48, "secrets in image history and build caches",
          "`tests/e2e/test_base_import.py`, `the_configuration_is_kept_and_the_history_is_not`"),
    Later(54, "endless headers, bad chunks, smuggling towards the proxy",
          "apps answer over a protocol of ours so far; ports of apps come later"),
]
