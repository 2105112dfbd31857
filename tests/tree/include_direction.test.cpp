// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <optional>

#include "source_tree.hpp"

namespace {

// The floors of the house, lowest first: a header includes from its own folder, or from a lower floor. A header that
// lies in include/prefer itself stands under its own name.
std::map<std::string, int> const level_of = [] {
  std::vector<std::vector<std::string>> const floors = {
      {"dialect.hpp"},
      {"target.hpp"},
      {"version.hpp", "expects.hpp", "on_demand.hpp"},
      {"bounded.hpp", "text", "random"},
      {"file", "parallel"},
      {"scalar"},
      {"batch"},
      {"loss", "aggregation", "advantage"},
      {"policy", "beta"},
      {"reference", "model"},
      {"objective", "reward"},
      {"metrics"},
      {"train"},
      {"diagnosis"},
      {"prefer.hpp"},
      {"report", "data", "testing"},
      {"lm/files"},
      {"lm/text", "lm/arithmetic"},
      {"lm/layers"},
      {"lm/model"},
      {"adapters"}};
  std::map<std::string, int> levels;
  int level = 0;
  for (auto const& floor : floors) {
    for (auto const& each : floor) levels[each] = level;
    ++level;
  }
  return levels;
}();

// Whatever the core includes is paid for by everyone who includes prefer/prefer.hpp.
std::set<std::string> const too_heavy_for_the_core = {
    "chrono",   "filesystem", "format", "fstream", "functional", "future", "iostream", "istream",
    "iterator", "memory",     "mutex",  "ostream", "ranges",     "regex",  "sstream",  "thread"};

// The standard library cannot flush a file to the disk, nor tell a pipe from a file; what can is the system's, for `file` alone.
std::set<std::string> const of_the_system = {"fcntl.h", "sys/stat.h", "unistd.h"};

// For tools that choose a loss by its name at run time, for methods that learn from rewards, for recommenders, for components
// that handle texts, for whoever asks what is wrong with a batch or a run, for programs that ask before they compute, for
// engines that join, for tests of backends, and policies that are ready made; who wants them includes them.
std::set<std::string> const outside_the_umbrella = {"advantage/baselines.hpp",
                                                    "advantage/generalised_advantages.hpp",
                                                    "advantage/steps.hpp",
                                                    "advantage/token_weights.hpp",
                                                    "advantage/whiten.hpp",
                                                    "batch/record_from.hpp",
                                                    "diagnosis/batch.hpp",
                                                    "diagnosis/training.hpp",
                                                    "diagnosis/training_report.hpp",
                                                    "file/writable.hpp",
                                                    "loss/catalogue.hpp",
                                                    "loss/grpo.hpp",
                                                    "loss/ppo.hpp",
                                                    "loss/rloo.hpp",
                                                    "metrics/best_of_n.hpp",
                                                    "metrics/ranking.hpp",
                                                    "model/bigram.hpp",
                                                    "model/bigram_reference.hpp",
                                                    "model/choice_ids.hpp",
                                                    "model/denoiser.hpp",
                                                    "model/item_scores.hpp",
                                                    "model/log_linear.hpp",
                                                    "model/matrix_factorization.hpp",
                                                    "model/matrix_product.hpp",
                                                    "model/noise_schedule.hpp",
                                                    "model/row_statistics.hpp",
                                                    "model/sampled_softmax.hpp",
                                                    "model/softmax.hpp",
                                                    "model/tabular.hpp",
                                                    "model/two_layer_network.hpp",
                                                    "model/values.hpp",
                                                    "parallel/engine_communicator.hpp",
                                                    "policy/any_policy.hpp",
                                                    "policy/one_token.hpp",
                                                    "policy/value_model.hpp",
                                                    "reference/any_reference.hpp",
                                                    "reward/reward_model.hpp",
                                                    "reward/scalar_head.hpp",
                                                    "testing/backend_losses.hpp",
                                                    "testing/backend_suite.hpp",
                                                    "testing/finding.hpp",
                                                    "testing/probing_formulas.hpp",
                                                    "testing/sample_columns.hpp",
                                                    "testing/sample_numbers.hpp",
                                                    "text/counted.hpp",
                                                    "text/number.hpp",
                                                    "text/spelling.hpp",
                                                    "text/utf8.hpp",
                                                    "text/words.hpp",
                                                    "train/annotators.hpp",
                                                    "train/group_methods.hpp",
                                                    "train/ppo_method.hpp",
                                                    "train/rollout.hpp",
                                                    "train/rollout_parts.hpp",
                                                    "train/rollouts.hpp"};

std::string folder_of(std::string const& header) {
  if (level_of.count(header) != 0) return header;
  // The component lm has floors of its own.
  return header.substr(0, header.find('/', header.rfind("lm/", 0) == 0 ? 3 : 0));
}

/// Why `from` must not include `to`, if it must not.
std::optional<std::string> objection(std::string const& from, std::string const& to) {
  std::string const own = folder_of(from);
  std::string const other = folder_of(to);
  if (level_of.count(own) == 0)
    return own + " has no level in tests/tree/include_direction.test.cpp";
  if (level_of.count(other) == 0)
    return other + " has no level in tests/tree/include_direction.test.cpp";
  if (own == other || level_of.at(other) < level_of.at(own)) return std::nullopt;
  return from + " includes " + to + ", which is not on a lower floor";
}

using include_graph = std::map<std::string, std::vector<std::string>>;

include_graph const& headers() {
  static auto const graph = [] {
    include_graph result;
    for (std::string const& header : tree::public_headers()) {
      result[header] = tree::includes_of(tree::read(tree::header_root / header));
    }
    return result;
  }();
  return graph;
}

/// Ours among the headers that can be reached from one, itself included.
std::set<std::string> reachable(include_graph const& graph, std::string const& from) {
  std::set<std::string> seen;
  std::vector<std::string> waiting = {from};
  while (!waiting.empty()) {
    std::string const header = waiting.back();
    waiting.pop_back();
    if (!seen.insert(header).second || graph.count(header) == 0) continue;
    for (std::string const& included : graph.at(header)) {
      if (std::string const ours = tree::our_header(included); !ours.empty())
        waiting.push_back(ours);
    }
  }
  return seen;
}

bool in_a_cycle(include_graph const& graph, std::string const& header) {
  for (std::string const& included : graph.at(header)) {
    std::string const ours = tree::our_header(included);
    if (!ours.empty() && reachable(graph, ours).count(header) != 0) return true;
  }
  return false;
}

/// What a header includes after its first line that is neither a directive nor a comment.
std::vector<std::string> includes_after_code(std::string const& text) {
  std::size_t begin = 0;  // of the code, in bytes
  bool continued = false;
  for (std::string const& line : tree::lines_of(text)) {
    auto const first = line.find_first_not_of(" \t");
    bool const code =
        first != std::string::npos && line[first] != '#' && line.compare(first, 2, "//") != 0;
    if (code && !continued) break;
    continued = (continued || (first != std::string::npos && line[first] == '#')) &&
                !line.empty() && line.back() == '\\';
    begin += line.size() + 1;
  }
  return tree::includes_of(begin < text.size() ? text.substr(begin) : "");
}

bool is_standard(std::string const& included) {
  return included.find_first_of("/.") == std::string::npos;
}

std::vector<std::string> const& core() { return tree::header_lists().at("core"); }

}  // namespace

TEST_CASE("include direction: the rule allows the own folder and the left, and objects to the rest",
          "[tree][include_direction]") {
  CHECK_FALSE(objection("loss/dpo.hpp", "loss/loss.hpp"));
  CHECK_FALSE(objection("train/trainer.hpp", "scalar/dual.hpp"));
  CHECK_FALSE(objection("beta/schedule.hpp", "loss/loss.hpp"));
  CHECK_FALSE(objection("policy/aggregated.hpp", "aggregation/aggregation.hpp"));
  CHECK_FALSE(objection("batch/best_and_random_pairs.hpp", "random/order.hpp"));
  CHECK(objection("scalar/dual.hpp", "batch/columns.hpp"));
  CHECK(objection("loss/dpo.hpp", "policy/policy.hpp"));
  CHECK(objection("aggregation/sum_tokens.hpp", "policy/policy.hpp"));
  CHECK(objection("batch/step_pairs.hpp", "train/trainer.hpp"));
  CHECK(objection("random/distributions.hpp", "batch/choices.hpp"));
  CHECK(objection("loss/dpo.hpp", "beta/schedule.hpp"));
  CHECK(objection("report/csv.hpp", "data/lines.hpp"));
  CHECK(objection("data/encode.hpp", "lm/files/model_file.hpp"));
  CHECK(objection("lm/text/tokenizer.hpp", "lm/arithmetic/products.hpp"));
  CHECK_FALSE(objection("lm/layers/attention.hpp", "lm/arithmetic/products.hpp"));
  CHECK(objection("elsewhere/a.hpp", "expects.hpp"));
}

TEST_CASE("include direction: a directive is read with any spacing, a comment is not",
          "[tree][include_direction]") {
  CHECK(tree::includes_of("#include <a>\n  #  include \"b/c.hpp\"  // why\n// #include <d>\n") ==
        std::vector<std::string>{"a", "b/c.hpp"});
}

TEST_CASE("include direction: a cycle is found", "[tree][include_direction]") {
  include_graph const graph = {
      {"a.hpp", {"prefer/b.hpp"}}, {"b.hpp", {"prefer/c.hpp"}}, {"c.hpp", {"prefer/b.hpp"}}};
  CHECK_FALSE(in_a_cycle(graph, "a.hpp"));
  CHECK(in_a_cycle(graph, "b.hpp"));
  CHECK(in_a_cycle(graph, "c.hpp"));
}

TEST_CASE("include direction: every header includes only from its own folder and from its left",
          "[tree][include_direction]") {
  for (auto const& [header, includes] : headers()) {
    for (std::string const& included : includes) {
      std::string const ours = tree::our_header(included);
      if (ours.empty()) continue;
      INFO(header << " includes " << included);
      CHECK(headers().count(ours) == 1);
      CHECK(objection(header, ours).value_or("") == "");
    }
    INFO(header);
    CHECK_FALSE(in_a_cycle(headers(), header));
  }
}

TEST_CASE("include direction: our headers are included by their full name",
          "[tree][include_direction]") {
  for (auto const& [header, includes] : headers()) {
    std::string const text = tree::read(tree::header_root / header);
    INFO(header);
    CHECK(text.find("#include \"") == std::string::npos);
  }
}

TEST_CASE("include direction: an include after the first line of code is found",
          "[tree][include_direction]") {
  CHECK(
      includes_after_code("// #include <a>\n#pragma once\n\n#if B\n#include <b>\n#endif\nint c;\n")
          .empty());
  CHECK(includes_after_code("#include <a>\nint b;\n  # include <c>\n") ==
        std::vector<std::string>{"c"});
  CHECK(includes_after_code("#define A \\\n  1\n#include <b>\n").empty());
}

TEST_CASE("include direction: a header includes before its first line of code",
          "[tree][include_direction]") {
  // cmake/lone_headers.cmake rests on it: what a header includes may then stand before it.
  for (auto const& [header, included] : headers()) {
    CAPTURE(header);
    CHECK(includes_after_code(tree::read(tree::header_root / header)).empty());
  }
}

TEST_CASE("include direction: the core includes the core and cheap standard headers only",
          "[tree][include_direction]") {
  std::set<std::string> const in_core(core().begin(), core().end());
  REQUIRE(in_core.count("expects.hpp") == 1);
  for (std::string const& header : core()) {
    if (headers().count(header) == 0) continue;  // header_lists.test.cpp reports it
    for (std::string const& included : headers().at(header)) {
      INFO(header << " includes " << included);
      if (std::string const ours = tree::our_header(included); !ours.empty()) {
        CHECK(in_core.count(ours) == 1);
      } else {
        CHECK((is_standard(included) ||
               (folder_of(header) == "file" && of_the_system.count(included) == 1)));
        CHECK(too_heavy_for_the_core.count(included) == 0);
      }
    }
  }
}

TEST_CASE("include direction: prefer.hpp brings every header of the core",
          "[tree][include_direction]") {
  auto const brought = reachable(headers(), "prefer.hpp");
  for (std::string const& header : core()) {
    INFO(header);
    CHECK(brought.count(header) != outside_the_umbrella.count(header));
  }
}
