// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>
#include <span>
#include <string>
#include <vector>

namespace own_reference {

// [reference]
/// Completions by how often they occur, the same for every prompt.
///
///   log_prob(y) = log((count(y) + 1) / (all counts + completions))
class popularity {
 public:
  using value_type = float;  // as the policy that it is used with

  popularity(prefer::choice_data const& events, std::size_t completions) : log_prob_(completions) {
    std::vector<double> count(completions, 1.0);
    for (std::uint32_t const y : events.completion) ++count[y];
    double const total = static_cast<double>(events.completion.size() + completions);
    for (std::size_t y = 0; y < completions; ++y) {
      log_prob_[y] = static_cast<float>(std::log(count[y] / total));
    }
  }

  void log_prob(prefer::choice_batch const& batch, std::span<float> out) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = log_prob_[batch.completion[i]];
  }

  /// Says in caches and checkpoints which numbers these are.
  [[nodiscard]] std::uint64_t identity() const {
    return prefer::fingerprint().add("popularity").add(std::span(log_prob_)).value();
  }

 private:
  std::vector<float> log_prob_;
};

static_assert(prefer::Reference<popularity, prefer::choice_batch>);
// [/reference]

// [after_step]
/// Follows the policy: becomes a copy of it every `every` steps.
template <class P>
class synchronised {
 public:
  using value_type = typename P::value_type;

  synchronised(P const& policy, std::uint64_t every) : copy_(policy), every_(every) {}

  void log_prob(prefer::choice_batch const& batch, std::span<value_type> out) {
    copy_.log_prob(batch, out);
  }
  void after_step(P const& policy, std::uint64_t step) {
    if (step % every_ == 0) copy_ = policy;
  }

 private:
  P copy_;
  std::uint64_t every_;
};
// [/after_step]

prefer::choice_data preferences() {
  prefer::choice_data data;
  data.add_pair(0, 2, 1);
  data.add_pair(1, 0, 2);
  data.add_pair(2, 2, 0);
  return data;
}

}  // namespace own_reference

using namespace own_reference;

TEST_CASE("own reference: a policy is held near what is popular", "[docs][own_reference]") {
  // [train]
  prefer::choice_data events;  // what people did: prompt, completion
  events.add_labelled(0, 2, true);
  events.add_labelled(1, 2, true);
  events.add_labelled(2, 0, true);
  popularity popular(events, 3);

  prefer::choice_data const data = preferences();
  prefer::tabular<float> policy(3, 3);
  prefer::trainer training(policy, prefer::ipo_sum{.beta = 0.25}, popular, data,
                           {.batch_size = 3, .epochs = 300, .rate = 0.05});
  training.run();
  // [/train]

  // ipo_sum asks for a log-ratio margin of 1 / (2 * 0.25) = 2 nats. Counts + 1 are 2, 1, 3, so the reference
  // itself prefers completion 2 to completion 1 by log 3.
  std::vector<float> log_prob(3);
  policy.log_probs(0, log_prob);
  CHECK(log_prob[2] - log_prob[1] == Approx(2.0 + std::log(3.0)).margin(0.01));
}

TEST_CASE("own reference: a cache gives the same numbers and refuses another identity",
          "[docs][own_reference]") {
  auto const folder = std::filesystem::temp_directory_path() / "prefer_docs_own_reference";
  std::filesystem::create_directories(folder);
  std::string const path = (folder / "popular.cache").string();
  prefer::choice_data const data = preferences();
  popularity popular(data, 3);

  // [cache]
  auto const computed = prefer::cached<float>::of(popular, data);
  computed.save(path);
  auto reference = prefer::cached<float>::load(path, data, popular);
  // [/cache]

  prefer::tabular<float> direct(3, 3);
  prefer::tabular<float> through_cache(3, 3);
  prefer::train_options const options{.batch_size = 2, .epochs = 5, .rate = 0.1};
  prefer::trainer(direct, prefer::dpo{}, popular, data, options).run();
  prefer::trainer(through_cache, prefer::dpo{}, reference, data, options).run();
  auto const a = direct.parameters()[0].value;
  auto const b = through_cache.parameters()[0].value;
  CHECK(std::vector<float>(a.begin(), a.end()) == std::vector<float>(b.begin(), b.end()));

  auto more = data;
  more.add_pair(0, 2, 1);
  popularity another(more, 3);
  CHECK_THROWS_WITH(prefer::cached<float>::load(path, data, another), Catch::Contains("stale"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("own reference: those that move", "[docs][own_reference]") {
  prefer::choice_data const data = preferences();
  prefer::tabular<float> policy(3, 3);
  // [moving]
  prefer::cached_on_demand reference(
      prefer::moving_average(policy, prefer::tr_dpo{.alpha = 1.0, .every = 4}), data);
  prefer::trainer training(policy, prefer::dpo{}, reference, data,
                           {.batch_size = 3, .epochs = 8, .rate = 0.1});
  training.run();
  auto const asked = reference.asked();        // 24: three rows, eight times
  auto const computed = reference.computed();  // 6: once at the start, once after step 4
  // [/moving]
  CHECK(asked == 24);
  CHECK(computed == 6);
}

TEST_CASE("own reference: several in one", "[docs][own_reference]") {
  prefer::choice_data const data = preferences();
  prefer::tabular<float> policy(3, 3);
  popularity const popular(data, 3);
  prefer::tabular<float> const other(3, 3, {0, 1, 2, 2, 1, 0, 0, 0, 1});
  // [combine]
  prefer::mixture either({0.75, 0.25}, prefer::frozen(policy), popular);
  prefer::geometric_mixture both({0.5, 0.5}, prefer::frozen(policy), popular);
  prefer::per_prompt by_prompt({0, 0, 1}, prefer::frozen(policy), prefer::frozen(other));
  auto without_prompt = prefer::unconditional(prefer::frozen(other), 2);
  // [/combine]
  auto const margin_of_first = [&](auto& reference) {
    float out[6] = {};
    reference.log_prob(data.batch(), out);
    return out[0] - out[1];  // completions 2 and 1 of prompt 0
  };
  // Policy: equal. Popularity: counts + 1 are 3, 2, 4 of 9. Other: 2 - 1 for prompt 0, 1 - 0 for prompt 2.
  CHECK(margin_of_first(either) ==
        Approx(std::log((0.75 / 3 + 0.25 * 4 / 9) / (0.75 / 3 + 0.25 * 2 / 9))).epsilon(1e-5));
  CHECK(margin_of_first(both) == Approx(0.5 * std::log(2.0)).epsilon(1e-5));
  CHECK(margin_of_first(by_prompt) == Approx(0.0).margin(1e-6));
  CHECK(margin_of_first(without_prompt) == Approx(1.0).epsilon(1e-5));
}

TEST_CASE("own reference: after_step may move the reference", "[docs][own_reference]") {
  prefer::choice_data const data = preferences();
  prefer::tabular<float> policy(3, 3);
  synchronised reference(policy, 2);
  prefer::trainer training(policy, prefer::dpo{}, reference, data,
                           {.batch_size = 3, .steps = 3, .rate = 0.1});
  CHECK(training.step().reward_margin == Approx(0.0).margin(1e-6));  // a copy of the start
  CHECK(training.step().reward_margin > 0.01);
  CHECK(training.step().reward_margin ==
        Approx(0.0).margin(1e-6));  // a copy of the policy after two steps
}
