// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <support/temporary_folder.hpp>
#include <vector>

#include <prefer/batch/token_table.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>

#include "adapter_policy.hpp"
#include "small_problem.hpp"

// What of a policy is in a checkpoint, and what it must find again.

namespace {

using prefer::no_reference;
using prefer::train_options;
using prefer::trainer;
using small::adapter_policy;
using small::message_of;

std::vector<float> const base = {0.5f, -0.25f, 0.0f, 1.0f, 0.75f};
train_options const options = {.batch_size = 4, .epochs = 3, .rate = 0.05};

// With something that its numbers depend on and that is no parameter.
struct policy_with_identity : adapter_policy {
  policy_with_identity(std::vector<float> of, std::uint64_t texts)
      : adapter_policy(std::move(of)), texts_(texts) {}
  [[nodiscard]] std::uint64_t identity() const { return texts_; }
  std::uint64_t texts_;
};

}  // namespace

TEST_CASE("checkpoint: holds what is trained, and nothing of what is frozen",
          "[train][checkpoint]") {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  auto const data = small::with_lengths(small::pairs(10));
  adapter_policy policy(base);
  no_reference<double> reference;
  trainer run(policy, prefer::simpo{}, reference, data, options);
  run.run([](prefer::step_report const&) {}, {.every = 3, .restore_best = true},
          [](adapter_policy&) { return 0.0; });
  run.save(path);
  auto const file = prefer::archive::read(path);
  CHECK(file.get<float>("value/adapter").size() == base.size());
  CHECK(file.get<float>("best/adapter").size() == base.size());
  CHECK_FALSE(file.contains("value/base"));
  CHECK_FALSE(file.contains("best/base"));
  CHECK(file.get<float>("optimizer/m/base").empty());
}

TEST_CASE(
    "checkpoint: with a frozen base it continues to the same bits, told that parameters moved",
    "[train][checkpoint]") {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  auto const data = small::with_lengths(small::pairs(10));
  no_reference<double> reference;
  auto const start = [&](adapter_policy& policy) {
    return trainer<adapter_policy, prefer::simpo, no_reference<double>>(policy, {}, reference, data,
                                                                        options);
  };
  adapter_policy whole(base);
  auto uninterrupted = start(whole);
  uninterrupted.run();
  CHECK(whole.times_moved == 9);  // steps
  CHECK(state_of(whole)[0] == base[0]);
  CHECK(state_of(whole)[5] != 0.0f);

  adapter_policy first(base);
  auto begun = start(first);
  for (int i = 0; i < 4; ++i) begun.step();
  begun.save(path);
  adapter_policy second(base);
  auto resumed = start(second);
  resumed.resume(path);
  CHECK(second.times_moved == 1);
  resumed.run();
  CHECK(state_of(second) == state_of(whole));
}

TEST_CASE("checkpoint: the best parameters come back, and the policy is told",
          "[train][checkpoint]") {
  auto const data = small::with_lengths(small::pairs(10));
  no_reference<double> reference;
  adapter_policy policy(base);
  trainer run(policy, prefer::simpo{}, reference, data, options);
  std::vector<double> best;
  int evaluations = 0;
  run.run([](prefer::step_report const&) {}, {.every = 3, .restore_best = true},
          [&](adapter_policy& now) {
            if (evaluations == 0) best = state_of(now);
            return evaluations++ == 0 ? 1.0 : 0.0;
          });
  CHECK(evaluations == 3);
  CHECK(state_of(policy) == best);
  CHECK(policy.times_moved == 10);
}

TEST_CASE("checkpoint: another base is refused with a sentence, and nothing changes",
          "[train][checkpoint]") {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  auto const data = small::with_lengths(small::pairs(10));
  no_reference<double> reference;
  adapter_policy policy(base);
  trainer run(policy, prefer::simpo{}, reference, data, options);
  run.run();
  run.save(path);

  auto other_base = base;
  other_base[3] = 2.0f;
  adapter_policy other(other_base);
  trainer on_other(other, prefer::simpo{}, reference, data, options);
  auto const before = state_of(other);
  CHECK(message_of([&] { on_other.resume(path); }) ==
        "resume: " + path +
            ": this checkpoint continues another base: it holds what was trained only, and what is "
            "not trained of this policy (its frozen parameters, or what its identity() stands for) "
            "differs");
  CHECK(state_of(other) == before);
  CHECK(on_other.steps_done() == 0);
  CHECK(other.times_moved == 0);
}

TEST_CASE("checkpoint: an identity stands for the base where the policy has one",
          "[train][checkpoint]") {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  auto const data = small::with_lengths(small::pairs(10));
  no_reference<double> reference;
  policy_with_identity policy(base, 7);
  trainer run(policy, prefer::simpo{}, reference, data, options);
  policy.texts_ = 8;  // asked when the trainer was made
  run.step();
  run.save(path);
  auto const refusal = [&](std::uint64_t texts) {
    policy_with_identity again(base, texts);
    trainer resumed(again, prefer::simpo{}, reference, data, options);
    return message_of([&] { resumed.resume(path); });
  };
  CHECK(refusal(7) == "");
  CHECK_THAT(refusal(8), Catch::Contains("continues another base"));
}

TEST_CASE("checkpoint: of a policy over tokens, other texts are another base",
          "[train][checkpoint]") {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  auto const table_of = [](std::uint32_t last) {
    prefer::token_table table;
    table.add(std::vector<std::uint32_t>{0, 1, last});
    table.add(std::vector<std::uint32_t>{1, 1});
    return table;
  };
  prefer::choice_data data;
  data.add_pair(0, 0, 1);
  auto const attempt = [&](std::uint32_t last, bool save) {
    auto const table = table_of(last);
    prefer::bigram<double> policy(3, table);
    no_reference<double> reference;
    trainer run(policy, prefer::dpo{}, reference, data, {});
    return message_of([&] { save ? run.save(path) : run.resume(path); });
  };
  CHECK(attempt(1, true) == "");
  CHECK(attempt(1, false) == "");
  CHECK_THAT(attempt(2, false), Catch::Contains("continues another base"));
}

TEST_CASE("trainer: a shape that is not the tensor's is refused by name", "[train][checkpoint]") {
  auto const data = small::with_lengths(small::pairs(4));
  no_reference<double> reference;
  adapter_policy policy(base);
  policy.shape = {2, 3};
  CHECK(message_of([&] { trainer(policy, prefer::simpo{}, reference, data, options); }) ==
        "trainer: parameter 'adapter' has 5 elements, its shape has 6");
}
