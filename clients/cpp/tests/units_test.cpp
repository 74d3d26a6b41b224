#include "blackbox_am/errors.hpp"
#include "blackbox_am/oracle_server.hpp"
#include "blackbox_am/spec.hpp"
#include "harness.hpp"

namespace bam = blackbox_am;

TEST(parts_of_an_address) {
  const bam::Unit unit = bam::Unit::parse("layer4.1.conv2:121@3,4!max");
  CHECK_EQUAL(unit.layer, "layer4.1.conv2");
  CHECK_EQUAL(*unit.index, 121);
  CHECK_EQUAL(unit.position, "3,4");
  CHECK_EQUAL(unit.reduce, "max");
}

TEST(what_is_left_out) {
  const bam::Unit unit = bam::Unit::parse("fc@center");
  CHECK(!unit.index);
  CHECK_EQUAL(unit.position, "center");
  CHECK_EQUAL(unit.reduce, "mean");
}

TEST(names_in_quotes) {
  CHECK_EQUAL(bam::Unit::parse(R"("initial:3-8:conv":5)").layer, "initial:3-8:conv");
  CHECK_EQUAL(bam::Unit::parse(R"(encoder."a:b".fc:3)").layer, "encoder.a:b.fc");
  CHECK_EQUAL(bam::Unit::parse(R"("a\"b\\c")").layer, R"(a"b\c)");
  CHECK_EQUAL(bam::Unit::parse("act 1:2").layer, "act 1");
}

TEST(what_is_no_address) {
  for (const char* text : {"", ":3", "fc:", "fc:x", "fc:-1", "fc:1@", "fc:1@1,", "fc!", "fc:1 ",
                           " fc:1", "a..b:1", "\"fc:1", "fc:1:2", "fc:1234567890123456789",
                           "\"a\\c\":1", "fc\n:1", "fc@mid", "@center"}) {
    CHECK_THROWS(bam::InvalidInput, "is not a unit", bam::Unit::parse(text));
  }
  CHECK_THROWS(bam::InvalidInput, "unknown reduction 'median'", bam::Unit::parse("fc!median"));
}

TEST(objectives_of_one_unit_and_of_several) {
  const std::vector<std::string> two{"fc:1", "fc:2"};
  CHECK(bam::Objective("fc:1").quantities == std::vector<std::string>{"fc:1"});
  CHECK(bam::Objective({"fc:1", "fc:2"}).quantities == two);
  CHECK((bam::Objective{"fc:1", "fc:2"}.quantities == two));
  CHECK(bam::Objective::mean_of(two).quantities == two);
  const std::vector<bam::Objective> targets = {"fc:0", {"fc:1", "fc:2"}};
  CHECK_EQUAL(targets.size(), 2U);
  CHECK(targets[1].quantities == two);
}
