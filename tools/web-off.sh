#!/bin/sh
# WEB=off: one plain page in place of the web pages, with the interface of runtime/api/assets.h.
# Usage: web-off.sh DIR
set -eu

out=$1
mkdir -p "$out"

cat >"$out/page.html" <<'HTML'
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>spacesd</title></head>
<body>
<h1>spacesd is running</h1>
<p>It was built without the web pages. The API is at <a href="/api/spaces">/api/spaces</a>, the
state at <a href="/readyz">/readyz</a>; the <code>spaces</code> command does everything else.</p>
</body>
</html>
HTML
gzip -9 -n -c "$out/page.html" >"$out/page.html.gz"
etag=$(sha256sum "$out/page.html" | cut -c1-16)
dir=$(cd "$out" && pwd)

cat >"$out/assets.S" <<ASM
/* Made by tools/web-off.sh. */
.section .rodata
.balign 16
.globl sp_asset_0_raw
.globl sp_asset_0_raw_end
sp_asset_0_raw:
.incbin "$dir/page.html"
sp_asset_0_raw_end:
.byte 0
.balign 16
.globl sp_asset_0_gz
.globl sp_asset_0_gz_end
sp_asset_0_gz:
.incbin "$dir/page.html.gz"
sp_asset_0_gz_end:
.byte 0
.section .note.GNU-stack,"",@progbits
ASM

row="\"text/html; charset=utf-8\", \"\\\"$etag\\\"\", sp_asset_0_gz, sp_asset_0_gz_end,
     sp_asset_0_raw, sp_asset_0_raw_end, false"
cat >"$out/assets.c" <<C
/* Made by tools/web-off.sh. */
#include "runtime/api/assets.h"

extern const char sp_asset_0_raw[], sp_asset_0_raw_end[], sp_asset_0_gz[], sp_asset_0_gz_end[];

const struct sp_asset sp_asset_table[] = {
    {"/app-page.html", $row},
    {"/hub.html", $row},
};
const size_t sp_asset_count = 2;
C
