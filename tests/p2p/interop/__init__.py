"""js-libp2p from npm at the other end of a real connection. `npm ci` in this folder first, or the tests are skipped."""
