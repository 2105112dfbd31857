// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <concepts>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/cached_on_demand.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/mixture.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/per_prompt.hpp>
#include <prefer/reference/unconditional.hpp>
#include <prefer/train/trainer.hpp>

#include <train/small_problem.hpp>

// Theory that holds for every reference; where one is excepted, it is named with the reason.

namespace {

using table = prefer::tabular<double>;
using numbers = std::vector<double>;

// All completions of every prompt, one list per prompt, so that probabilities can be summed.
prefer::choice_data const& everything() {
  static prefer::choice_data const data = [] {
    prefer::choice_data out;
    std::vector<std::uint32_t> const all = {0, 1, 2, 3, 4};
    for (std::uint32_t x = 0; x < small::prompts; ++x) out.add_list(x, all);
    return out;
  }();
  return data;
}

table another_model() {
  auto logits = small::values<double>(30);
  std::reverse(logits.begin(), logits.end());
  return {small::prompts, small::completions, logits};
}

/// Calls `visit(name, make)` for every reference that the library ships; `make(policy)` makes one that starts
/// from a policy.
void for_each_reference(auto&& visit) {
  using namespace prefer;
  visit("no_reference", [](table&) { return no_reference<double>(); });
  visit("frozen", [](table& p) { return frozen(p); });
  visit("a policy", [](table& p) { return p; });
  visit("cached", [](table& p) { return cached<double>::of(p, everything(), 7); });
  visit("cached, given", [](table& p) {
    numbers said(30);
    p.log_prob(everything().batch(), said);
    return cached<double>::given(said, everything(), 7);
  });
  visit("ema", [](table& p) { return moving_average(p, ema{.rate = 0.25}); });
  visit("tr_dpo soft", [](table& p) { return moving_average(p, tr_dpo{.every = 2}); });
  visit("tr_dpo hard",
        [](table& p) { return moving_average(p, tr_dpo{.alpha = 1.0, .every = 2}); });
  visit("bema", [](table& p) { return moving_average(p, bema{.every = 2}); });
  visit("cached_on_demand", [](table& p) {
    return cached_on_demand(moving_average(p, tr_dpo{.every = 2}), everything());
  });
  visit("mixture", [](table& p) {
    return mixture({0.5, 0.25, 0.25}, frozen(p), another_model(),
                   moving_average(p, tr_dpo{.every = 2}));
  });
  visit("geometric_mixture", [](table& p) {
    return geometric_mixture({0.5, 0.75}, moving_average(p, ema{.rate = 0.25}), another_model());
  });
  visit("unconditional",
        [](table& p) { return unconditional(moving_average(p, tr_dpo{.every = 2}), 3); });
  visit("per_prompt", [](table& p) {
    return per_prompt({0, 1, 2, 0, 1, 2}, frozen(p), another_model(),
                      moving_average(p, tr_dpo{.every = 2}));
  });
}

void for_every_reference(auto const& check) {
  for_each_reference([&](std::string const& name, auto const& make) {
    INFO("reference " << name);
    check(name, make);
  });
}

bool one_of(std::string const& name, std::set<std::string> const& names) {
  return names.count(name) > 0;
}

// Rows of `everything`, in this order, one prompt after another.
struct rows_of {
  prefer::choice_minibatch batch;
  explicit rows_of(std::vector<std::uint32_t> const& rows = {0, 1, 2, 3, 4, 5}) {
    batch.gather(everything(), rows);
  }
  [[nodiscard]] prefer::choice_batch all() { return batch.slice(0, batch.size()); }
};

numbers said_by(auto& reference, std::vector<std::uint32_t> const& rows = {0, 1, 2, 3, 4, 5}) {
  rows_of at(rows);
  numbers out(at.all().completions());
  reference.log_prob(at.all(), out);
  return out;
}

// What a trainer would do: the policy moves, and the reference is told.
void train(auto& policy, auto& reference, std::uint64_t steps, std::uint64_t first = 1) {
  auto const logits = policy.parameters()[0].value;
  for (std::uint64_t step = first; step < first + steps; ++step) {
    for (std::size_t i = 0; i < logits.size(); ++i) {
      logits[i] += 0.125 * static_cast<double>((i * 7 + step) % 5) - 0.25;
    }
    if constexpr (requires { reference.after_step(policy, step); }) {
      reference.after_step(policy, step);
    }
  }
}

}  // namespace

TEST_CASE("laws: every reference header is in the list, so that these laws hold for it",
          "[laws][reference]") {
  // composite and reference_wrapper are what references made of others have in common; reference is the concept;
  // without_adapter is the training policy itself, and any_reference is whatever it is a handle of: their own tests hold those.
  std::set<std::string> listed = {"reference",      "composite", "reference_wrapper",
                                  "moving_average", "none",      "any_reference",
                                  "without_adapter"};
  for_each_reference([&](std::string const& name, auto const&) { listed.insert(name); });
  for (auto const& entry :
       std::filesystem::directory_iterator(PREFER_SOURCE_DIR "/include/prefer/reference")) {
    INFO(entry.path());
    CHECK(listed.count(entry.path().stem().string()) == 1);
  }
}

TEST_CASE("laws: the same batch gives the same bits until after_step", "[laws][reference]") {
  for_every_reference([](std::string const&, auto const& make) {
    auto policy = small::policy<table>();
    auto reference = make(policy);
    for (int turn = 0; turn < 3; ++turn) {
      auto const before = said_by(reference);
      (void)said_by(reference, {4, 1});  // another question in between
      CHECK(said_by(reference) == before);
      auto const logits = policy.parameters()[0].value;
      for (double& each : logits) each += 0.5;  // the policy alone moves
      CHECK(said_by(reference) == before);
      train(policy, reference, 2, static_cast<std::uint64_t>(2 * turn + 1));
    }
  });
}

TEST_CASE("laws: a row's numbers do not depend on the rows beside it", "[laws][reference]") {
  for_every_reference([](std::string const&, auto const& make) {
    auto policy = small::policy<table>();
    auto reference = make(policy);
    auto const whole = said_by(reference);
    for (std::uint32_t const row : {5u, 0u, 3u}) {
      auto const alone = said_by(reference, {row});
      CHECK(std::equal(alone.begin(), alone.end(), whole.begin() + 5 * row));
    }
  });
}

TEST_CASE("laws: what says that it moves does, after two steps, and nothing else",
          "[laws][reference]") {
  for_every_reference([](std::string const&, auto const& make) {
    auto policy = small::policy<table>();
    auto reference = make(policy);
    auto const before = said_by(reference);
    train(policy, reference, 2);
    CHECK((said_by(reference) != before) == prefer::MovingReference<decltype(reference)>);
  });
}

TEST_CASE("laws: probabilities of all completions sum to 1 where the reference is normalised",
          "[laws][reference]") {
  for_every_reference([](std::string const& name, auto const& make) {
    auto policy = small::policy<table>();
    auto reference = make(policy);
    train(policy, reference, 3);
    auto const log_prob = said_by(reference);
    bool sums_to_one = true;
    for (std::size_t x = 0; x < small::prompts; ++x) {
      double sum = 0.0;
      for (std::size_t y = 0; y < 5; ++y) {
        double const each = log_prob[5 * x + y];
        CHECK(each <= 0.0);
        sum += std::exp(each);
      }
      // Five exponentials of numbers of at most 4 nats, each with a handful of roundings.
      sums_to_one = sums_to_one && std::abs(sum - 1.0) <= 100 * 4 * 0x1p-52;
    }
    // 0 of everything is no distribution; it stands for a uniform one and is used with any loss on purpose.
    if (!one_of(name, {"no_reference"})) CHECK(sums_to_one == prefer::is_normalised(reference));
  });
}

TEST_CASE("laws: a score is a log-probability up to a constant per prompt", "[laws][reference]") {
  std::set<std::string> scored;
  for_every_reference([&](std::string const& name, auto const& make) {
    auto policy = small::policy<table>();
    auto reference = make(policy);
    train(policy, reference, 3);
    rows_of at;
    numbers logit(30);
    if constexpr (requires { reference.logit(at.all(), logit); }) {
      scored.insert(name);
      auto const log_prob = said_by(reference);
      reference.logit(at.all(), logit);
      for (std::size_t x = 0; x < small::prompts; ++x) {
        for (std::size_t y = 1; y < 5; ++y) {
          double const by_logit = logit[5 * x + y] - logit[5 * x];
          double const by_log_prob = log_prob[5 * x + y] - log_prob[5 * x];
          CHECK(std::abs(by_logit - by_log_prob) <= 16 * 4 * 0x1p-52);
        }
      }
    }
  });
  CHECK(scored.count("mixture") == 0);  // a constant in a part would not cancel
  CHECK(scored.size() == 13);
}

TEST_CASE("laws: what is saved comes back, and goes on as it would have", "[laws][reference]") {
  std::set<std::string> stays;
  for_every_reference([&](std::string const& name, auto const& make) {
    auto start = small::policy<table>();
    auto policy = start;
    auto reference = make(policy);
    train(policy, reference, 3);
    prefer::archive_writer file;
    if constexpr (requires { reference.save(file, std::string()); } || (requires {
                    reference.save(file);
                  } && prefer::MovingReference<decltype(reference)>)) {
      reference.save(file);
      auto again = make(start);
      again.load(prefer::archive::parse(file.bytes(), "memory"));
      CHECK(said_by(again) == said_by(reference));
      auto its_policy = policy;
      train(policy, reference, 4, 4);
      train(its_policy, again, 4, 4);
      CHECK(said_by(again) == said_by(reference));
    } else {
      stays.insert(name);
      CHECK_FALSE(prefer::MovingReference<decltype(reference)>);
    }
  });
  CHECK(stays ==
        std::set<std::string>{"a policy", "cached", "cached, given", "frozen", "no_reference"});
}

TEST_CASE("laws: every reference has an identity, which does not move", "[laws][reference]") {
  std::set<std::uint64_t> different;
  std::size_t count = 0;
  for_every_reference([&](std::string const& name, auto const& make) {
    auto start = small::policy<table>();
    auto policy = start;
    auto reference = make(policy);
    auto const identity = identity_of_reference(reference);
    auto again = make(start);
    CHECK(identity_of_reference(again) == identity);
    train(policy, reference, 3);
    CHECK(identity_of_reference(reference) == identity);
    // A frozen policy says what the policy says, a cache on demand what it wraps.
    if (one_of(name, {"a policy", "cached_on_demand"})) return;
    different.insert(identity);
    ++count;
  });
  CHECK(different.size() == count);
  CHECK(count == 12);
}

TEST_CASE("laws: every reference that starts as the policy has a log-ratio of 0",
          "[laws][reference]") {
  // The others are not meant to be the start policy.
  std::set<std::string> const others = {"no_reference", "mixture", "geometric_mixture",
                                        "unconditional", "per_prompt"};
  for_every_reference([&](std::string const& name, auto const& make) {
    auto policy = small::policy<table>();
    auto reference = make(policy);
    rows_of at;
    double const distance = prefer::distance_to_reference(policy, reference, at.all()).largest;
    CHECK((distance == 0.0) == !one_of(name, others));
  });
}
