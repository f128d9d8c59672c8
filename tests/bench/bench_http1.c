/* Time to parse one browser head of 580 bytes, beside llhttp (see tools/llhttp.mk) on the same
 * bytes. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ui-protocol/http1.h"

#ifdef SP_LLHTTP
#include <llhttp.h>
#endif

#define ROUNDS 9
#define TIMES  200000

static const char head[] =
    "GET /app/ada/demo/gradio_api/queue/data?session_hash=lh87jfsf5d HTTP/1.1\r\n"
    "Host: spaces.example.org:7860\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: http://spaces.example.org:7860/ada/demo\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark-blue\r\n"
    "Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"
    "Priority: u=4\r\n\r\n";

static void parse_ours(void)
{
    static struct sp_http_request req;
    struct sp_http_fail fail;

    if (sp_http_parse_request(head, sizeof(head) - 1, &req, &fail) != (long)sizeof(head) - 1)
        abort();
}

#ifdef SP_LLHTTP
static int on_span(llhttp_t *p, const char *at, size_t len)
{
    /* The least a server must do: note where the piece lies. */
    *(const char **)p->data = at + len;
    return 0;
}

static void parse_llhttp(void)
{
    static const llhttp_settings_t settings = {
        .on_url = on_span, .on_header_field = on_span, .on_header_value = on_span};
    const char *last = NULL;
    llhttp_t parser;

    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &last;
    if (llhttp_execute(&parser, head, sizeof(head) - 1) != HPE_OK || !last)
        abort();
}
#endif

/* The best of several rounds: the machine is shared. */
static double measure(void (*parse)(void))
{
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = sp_clock_mono_ns();
        double ns;

        for (int i = 0; i < TIMES; i++)
            parse();
        ns = (double)(sp_clock_mono_ns() - began) / TIMES;
        best = ns < best ? ns : best;
    }
    return best;
}

int main(void)
{
    double ours = measure(parse_ours);

    printf("{\"bench\":\"http1_parse\",\"head_bytes\":%zu,\"ns_per_head\":%.1f", sizeof(head) - 1,
           ours);
#ifdef SP_LLHTTP
    double peer = measure(parse_llhttp);

    printf(",\"llhttp_ns_per_head\":%.1f,\"ratio_to_llhttp\":%.2f}\n", peer, ours / peer);
#else
    printf(",\"llhttp_ns_per_head\":null}\n");
#endif
    return 0;
}
