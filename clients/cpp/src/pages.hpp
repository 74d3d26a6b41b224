/// Listings that come in pages.
#pragma once

#include <set>
#include <string>

#include "blackbox_am/errors.hpp"

namespace blackbox_am {

/// Calls `fetch` with the token of each page, the first of which is empty; it returns the token of
/// the next page, and an empty one for the last. Throws ServerFailed where a server goes in circles.
template <class Fetch>
void walk(Fetch fetch) {
  std::set<std::string> seen;
  std::string token;
  do {
    token = fetch(token);
    if (!token.empty() && !seen.insert(token).second) {
      throw ServerFailed("the server names a page again that it sent before");
    }
  } while (!token.empty());
}

}  // namespace blackbox_am
