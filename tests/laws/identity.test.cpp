// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/train/trainer.hpp>

#include <support/temporary_folder.hpp>

#include "identity_subjects.hpp"

// Whatever a policy's or a reference's numbers depend on, another of it is another identity, a copy the same; and a
// checkpoint of one is not continued with another.

namespace {

using prefer::identity_of_base;
using prefer::identity_of_reference;
using prefer::identity_with_values;
using prefer::trainer;
using small::message_of;

// What the message of `resume` says, with the path left out.
std::string without_path(std::string const& message, std::string const& path) {
  std::string const begin = "resume: " + path + ": this checkpoint ";
  return message.rfind(begin, 0) == 0 ? message.substr(begin.size()) : message;
}

bool one_of(std::string const& message, std::vector<std::string> const& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string const& each) { return message.rfind(each, 0) == 0; });
}

// The names of the headers of a folder, without those that are no policy, reference or aggregation.
std::set<std::string> headers_of(std::string const& folder, std::set<std::string> const& without) {
  std::set<std::string> out;
  for (auto const& each :
       std::filesystem::directory_iterator(PREFER_SOURCE_DIR "/include/prefer/" + folder)) {
    std::string const name = each.path().stem().string();
    if (without.count(name) == 0) out.insert(name);
  }
  return out;
}

}  // namespace

TEST_CASE("laws: another policy is another identity, and no checkpoint of it is resumed",
          "[laws][identity]") {
  identity::for_each_policy([]<class P>(identity::subject<P> const& subject) {
    temporary_folder folder;
    std::string const path = folder / "checkpoint";
    auto const message = [&](P policy, bool save) {
      prefer::no_reference<double> none;
      trainer run(policy, prefer::dpo{}, none, identity::data());
      return message_of([&] { save ? run.save(path) : run.resume(path); });
    };
    P policy = subject.make();
    std::uint64_t const mine = identity_with_values(policy);
    std::set<std::uint64_t> different = {mine};
    INFO(subject.name);
    CHECK(message(policy, true) == "");
    CHECK(message(subject.make(), false) == "");
    for (auto const& [what, make] : subject.others) {
      INFO(what);
      P other = make();
      CHECK(different.insert(identity_with_values(other)).second);
      std::string const refusal = without_path(message(make(), false), path);
      CHECK(one_of(refusal, {"was made with another loss, beta rule, seed, batch size, learning "
                             "rate, optimizer or set of trained parameters",
                             "continues another base: "}));
    }
  });
}

TEST_CASE("laws: a policy's identity is of every number, its base of none that trains",
          "[laws][identity]") {
  identity::for_each_policy([]<class P>(identity::subject<P> const& subject) {
    INFO(subject.name);
    P policy = subject.make();
    P const copy = policy;
    std::uint64_t const mine = identity_with_values(policy);
    std::uint64_t const base = identity_of_base(policy);
    for (auto const& each : policy.parameters()) {
      INFO(each.name);
      CHECK(each.shape.elements() == each.value.size());
      CHECK_FALSE(each.shape.empty());
      for (std::size_t const k : {std::size_t{0}, each.value.size() - 1}) {
        auto const before = each.value[k];
        each.value[k] = std::nextafter(before, 1.0);
        CHECK(identity_with_values(policy) != mine);
        CHECK(identity_of_base(policy) == base);
        each.value[k] = before;
      }
    }
    P again = copy;
    CHECK(identity_with_values(again) == mine);
    CHECK(prefer::frozen(policy).identity() == mine);
    CHECK(prefer::frozen(prefer::frozen(policy)).identity() == mine);
  });
}

TEST_CASE("laws: another reference is another identity, and no checkpoint of it is resumed",
          "[laws][identity]") {
  identity::for_each_reference([]<class R>(identity::subject<R> const& subject) {
    // Moving averages average the policy that trains.
    using policy_type = std::conditional_t<
        std::is_same_v<R, prefer::moving_average<prefer::log_linear<double>, prefer::ema>>,
        prefer::log_linear<double>, identity::table>;
    temporary_folder folder;
    std::string const path = folder / "checkpoint";
    auto const message = [&](R reference, bool save) {
      auto policy = [] {
        if constexpr (std::is_same_v<policy_type, identity::table>) {
          return identity::start();
        } else {
          return policy_type(6, 5, 2, identity::numbers(60));
        }
      }();
      trainer run(policy, prefer::dpo{}, reference, identity::data());
      return message_of([&] { save ? run.save(path) : run.resume(path); });
    };
    R reference = subject.make();
    R copy = reference;
    std::set<std::uint64_t> different = {identity_of_reference(reference)};
    INFO(subject.name);
    CHECK(identity_of_reference(copy) == *different.begin());
    CHECK(message(reference, true) == "");
    CHECK(message(subject.make(), false) == "");
    for (auto const& [what, make] : subject.others) {
      INFO(what);
      R other = make();
      CHECK(different.insert(identity_of_reference(other)).second);
      CHECK(without_path(message(make(), false), path) ==
            "was made with another reference: of another kind, with other settings, or with other "
            "numbers in it");
    }
  });
}

TEST_CASE("laws: references of different kinds have different identities", "[laws][identity]") {
  std::set<std::uint64_t> different;
  std::size_t count = 0;
  identity::for_each_reference([&]<class R>(identity::subject<R> const& subject) {
    // A frozen policy says what the policy says.
    if (subject.name == "a policy") return;
    R reference = subject.make();
    different.insert(identity_of_reference(reference));
    ++count;
  });
  CHECK(count > 10);
  CHECK(different.size() == count);
}

TEST_CASE("laws: a policy with its adapter left out has the identity of its base",
          "[laws][identity]") {
  struct named : small::adapter_policy {
    using adapter_policy::adapter_policy;
    [[nodiscard]] std::uint64_t identity() const { return 11; }
  };
  named policy({0.5f, -0.5f});
  prefer::without_adapter reference(policy);
  CHECK(identity_of_reference(reference) == identity_of_base(policy));
  // Without an identity its frozen tensors are the base, which a checkpoint knows from the policy.
  small::adapter_policy nameless({0.5f, -0.5f});
  small::adapter_policy other({0.5f, -0.25f});
  CHECK(identity_of_base(nameless) != identity_of_base(other));
  prefer::without_adapter of_nameless(nameless);
  CHECK(identity_of_reference(of_nameless) == 0);
}

TEST_CASE("laws: the identities of everything that ships are looked at", "[laws][identity]") {
  std::set<std::string> named;
  identity::for_each_policy([&](auto const& subject) { named.insert(subject.name); });
  auto expected =
      headers_of("model", {"bigram_reference", "choice_ids", "item_scores", "matrix_product",
                           "noise_schedule", "row_statistics", "sampled_softmax", "softmax",
                           "two_layer_network", "values"});  // parts of policies; value models
  expected.merge(headers_of("aggregation", {"aggregation"}));
  CHECK(named == expected);

  named.clear();
  identity::for_each_reference([&](auto const& subject) { named.insert(subject.name); });
  for (auto const& name : headers_of("reference", {"reference", "reference_wrapper", "composite",
                                                   "any_reference",   // what it is a handle of
                                                   "moving_average",  // by its rules
                                                   "without_adapter"})) {
    CHECK(named.count(name) == 1);
  }
}
