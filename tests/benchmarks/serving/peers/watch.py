"""Asks until the answer holds a word: watch.py URL BODY NAME=VALUE... Words come on standard input, one a line.

For each it prints the monotonic clock at the first answer that holds the word, how often it asked and how many of
these requests failed. Standard library only.
"""

import http.client
import sys
import time
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
body = sys.argv[2].encode()
headers = dict(pair.split("=", 1) for pair in sys.argv[3:]) | {"Content-Type": "application/json"}
print("ready", flush=True)
for word in sys.stdin:
    wanted = word.strip().encode()
    asked = failed = 0
    connection = None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection = connection or http.client.HTTPConnection(url.hostname, url.port, timeout=10)
            connection.request("POST", url.path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            asked += 1
            failed += answer.status != 200
            if answer.status == 200 and wanted in said:
                break
        except (OSError, http.client.HTTPException):
            asked += 1
            failed += 1
            connection = None
        time.sleep(0.002)
    print(time.monotonic(), asked, failed, flush=True)
