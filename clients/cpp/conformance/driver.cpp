// The conformance driver: requests on standard input, answers on standard output, one a line.

#include <iostream>
#include <string>

#include "session.hpp"

namespace {

using driver::Json;

Json answered(driver::Session& session, const std::string& line) {
  Json answer{{"id", nullptr}};
  try {
    const Json request = Json::parse(line);
    answer["id"] = request.value("id", Json(nullptr));
    answer["ok"] = session.answer(request.at("do").get<std::string>(), request);
  } catch (...) {
    answer["error"] = driver::of_error(std::current_exception());
  }
  return answer;
}

}  // namespace

int main() {
  driver::Session session;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.empty()) continue;
    // Text that is not UTF-8 is replaced: an answer must come in any case.
    std::cout << answered(session, line).dump(-1, ' ', false, Json::error_handler_t::replace)
              << std::endl;
  }
  return 0;
}
