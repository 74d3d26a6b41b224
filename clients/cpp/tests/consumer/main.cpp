// A program of another project.

#include <blackbox_am/blackbox_am.hpp>
#include <blackbox_am/messages.hpp>
#include <iostream>

int main() {
  blackbox_am::StudySpec spec;
  spec.targets = {"neuron:0"};
  std::cout << blackbox_am::to_message(spec).targets_size() << '\n';
  try {
    static_cast<void>(blackbox_am::connect("127.0.0.1:1"));
  } catch (const blackbox_am::ServerUnavailable&) {
    return 0;
  }
  return 1;
}
