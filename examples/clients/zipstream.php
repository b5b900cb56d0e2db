#!/usr/bin/env php
<?php
// SPDX-License-Identifier: AGPL-3.0-or-later
// zipstream.php SERVICE OUT.zip LINK...: makes a link for a zip of the links,
// prints it, and downloads it.  No extensions; ZIPSTREAM_KEY is the API key.

/** An open answer; its headers, lower-case, in $headers. */
function request(string $method, string $url, ?array $document, ?array &$headers)
{
    $lines = ['Content-Type: application/json'];
    if ($key = getenv('ZIPSTREAM_KEY'))
        $lines[] = "Authorization: Bearer $key";
    $answer = fopen($url, 'rb', false, stream_context_create(['http' => [
        'method' => $method,
        'header' => $lines,
        'content' => $document === null ? '' : json_encode($document),
        'protocol_version' => 1.1,
        'ignore_errors' => true,
    ]]));
    if ($answer === false)
        throw new RuntimeException("$url cannot be reached");
    $headers = [];
    foreach (stream_get_meta_data($answer)['wrapper_data'] as $line) {
        if (preg_match('~^HTTP/\S+ (\d+)~', $line, $found))
            $headers = ['status' => (int)$found[1]];
        elseif (str_contains($line, ':'))
            $headers[strtolower(strstr($line, ':', true))] =
                trim(substr(strstr($line, ':'), 1));
    }
    if ($headers['status'] >= 400)
        throw new RuntimeException(reasons(stream_get_contents($answer)));
    return $answer;
}

/** What the service says is wrong. */
function reasons(string $body): string
{
    $said = json_decode($body, true) ?? ['message' => $body];
    $lines = [$said['message']];
    foreach ($said['files'] ?? [] as $file)
        $lines[] = "$file[src]: $file[reason]";
    return implode("\n", $lines);
}

function download(string $url, string $path): void
{
    $answer = request('GET', $url, null, $headers);
    $file = fopen($path, 'wb');
    $have = stream_copy_to_stream($answer, $file);
    fclose($file);
    $total = $headers['content-length'] ?? null;
    if ($total !== null && $have !== (int)$total)
        throw new RuntimeException("only $have of $total bytes came");
    // Without a length, the end of a zip is what says that it is whole.
    if (strpos(file_get_contents($path, false, null, max(0, $have - 65557)),
            "PK\x05\x06") === false)
        throw new RuntimeException('the zip broke off');
}

[, $service, $out] = $argv;
$links = array_slice($argv, 3);
$service = rtrim($service, '/');
try {
    $answer = request('POST', "$service/", [
        'filename' => basename($out),
        'files' => array_map(fn ($link) => ['src' => $link], $links),
    ], $headers);
    $bundle = json_decode(stream_get_contents($answer), true);
    echo "share: $service/$bundle[id]\n";
    echo "manage: $service/$bundle[id]/$bundle[secret]\n";
    download("$service/$bundle[id]", $out);
} catch (RuntimeException $problem) {
    @unlink($out);
    fwrite(STDERR, $problem->getMessage() . "\n");
    exit(1);
}
