"""Rows that have no case here, each with the reason."""

from escape import Later

CASES = [
    Later(18, "an image with WORKDIR=/proc/self/fd/N", "there are no images yet"),
    Later(19, "an image whose /proc, /dev, /sys or /tmp is a link (CVE-2019-19921, CVE-2021-30465)",
          "there are no images yet"),
    Later(21, "a tar layer with ../, absolute names, hard links and links to outside", "there are no layers yet"),
    Later(22, "archive bombs", "there are no layers yet; uploads are limited in size"),
    Later(48, "secrets in image history and build caches", "there are no images yet"),
    Later(54, "endless headers, bad chunks, smuggling towards the proxy",
          "apps answer over a protocol of ours so far; ports of apps come later"),
]
