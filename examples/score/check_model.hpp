// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/lm/arithmetic/eigen_products.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/files/any_adapter.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/lm/model/llama_base.hpp>
#include <prefer/lm/model/saved_adapter.hpp>
#include <prefer/lm/text/open_tokenizer.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/thread_pool.hpp>

#include "../language/products.hpp"
#include "../program/voice.hpp"
#include "check.hpp"
#include "golden_file.hpp"

// Included by the units of float and double alone.

namespace score {

using ids = std::vector<std::uint32_t>;

/// A pair of a golden file, and what its policy says of each token.
struct golden_pair {
  ids prompt;
  ids completion[2];
  std::vector<double> log_prob[2];
};

/// Sums of log-probabilities of a reference.
struct golden_reference {
  double chosen = 0.0;
  double rejected = 0.0;
};

/// What is allowed between a number and its golden one.
struct tolerances {
  double number;  ///< times max(1, |number|), of log-probabilities of tokens
  double sum;     ///< of a completion's, absolute; 0: not compared
  double loss;    ///< as number
  double norm;    ///< as number, or relative
  double entry;   ///< as number, or in terms of the tensor's norm
  bool relative;  ///< norms and entries go by the tensor's norm
};

inline golden_pair pair_of(golden_file::json const& row, bool tiny) {
  golden_pair out;
  char const* const sides[] = {"chosen", "rejected"};
  out.prompt = row.at(tiny ? "prompt" : "prompt_ids").get<ids>();
  for (std::size_t side = 0; side != 2; ++side) {
    std::string const name = sides[side];
    out.completion[side] = (tiny ? row.at(name) : row.at(name).at("ids")).get<ids>();
    auto const& log_probs = tiny ? row.at("log_probs_" + name) : row.at(name).at("log_probs");
    out.log_prob[side] = log_probs.get<std::vector<double>>();
  }
  return out;
}

/// Golden pairs as a batch.
struct golden_rows {
  std::vector<golden_pair> pairs;
  prefer::token_sequences texts = {};
  prefer::choice_data data = {};

  void number() {
    for (golden_pair const& each : pairs) {
      std::uint32_t const prompt = texts.prompts.add(each.prompt);
      std::uint32_t const chosen = texts.completions.add(each.completion[0]);
      data.add_pair(prompt, chosen, texts.completions.add(each.completion[1]));
    }
  }
};

template <class T>
class checker {
 public:
  using llama = prefer::lm::llama<T>;

  checker(language::model_options const& options, check_outcome& out)
      : options_(options),
        out_(out),
        pool_(options.threads),
        file_(options.model),
        words_(prefer::lm::open_tokenizer(options.model)),
        by_{products(options.products), pool_.executor(), prefer::lm::compute_type::full},
        base_(std::make_shared<prefer::lm::llama_base<T> const>(
            file_, prefer::lm::weight_storage::values, pool_.executor())) {}

  void log_probs(golden_file const& file) {
    auto rows = big_rows(file);
    if (!options_.adapter.empty()) {
      llama policy = with_adapter(options_.adapter, rows->texts);
      return compare_tokens(file, "with the adapter: token log-probabilities", policy, *rows, big);
    }
    llama policy(base_, rows->texts, {.by = by_});
    compare_tokens(file, "token log-probabilities", policy, *rows, big);
  }

  void gradients(golden_file const& file, golden_file const& pairs) {
    if (!options_.adapter.empty()) {
      file.fail("has gradients of all weights, without an adapter; leave --adapter out");
    }
    auto rows = big_rows(pairs);
    auto const reference = reference_of(file, "reference");
    if (reference.size() > rows->pairs.size()) file.fail("has a reference of more pairs than rows");
    rows->data = {};
    rows->pairs.resize(reference.size());
    rows->number();
    double const beta =
        file.read([](auto const& all) { return all.at("beta").template get<double>(); });
    llama policy(*base_, rows->texts, prefer::lm::full_fine_tuning{}, {.by = by_});
    double const total =
        compare_gradients(file, "", file.content(), policy, *rows, reference, beta, big);
    if (!file.has("total_norm")) return;
    comparison norm(out_, file, "norm of all gradients");
    double const expected = file.content()["total_norm"].template get<double>();
    norm.number("total_norm", total, expected, big.norm * expected);
  }

  void tiny(golden_file const& file) {
    tokens(file);
    golden_rows rows = file.read([](auto const& all) {
      golden_rows read;
      for (auto const& row : all.at("rows")) read.pairs.push_back(pair_of(row, true));
      return read;
    });
    rows.number();
    auto const reference = reference_of(file, "reference");
    double const beta =
        file.read([](auto const& all) { return all.at("beta").template get<double>(); });
    {
      llama policy(*base_, rows.texts, prefer::lm::full_fine_tuning{}, {.by = by_});
      compare_tokens(file, "token log-probabilities", policy, rows, small());
      auto const& full = file.read([](auto const& all) { return all.at("full"); });
      compare_gradients(file, "", full, policy, rows, reference, beta, small());
      greedy(file, rows);
    }
    if (file.has("adapter")) adapted(file, std::move(rows), reference, beta);
  }

 private:
  static constexpr tolerances big{
      .number = 2e-3, .sum = 1e-2, .loss = 1e-4, .norm = 1e-3, .entry = 1e-3, .relative = true};
  static constexpr tolerances small() {
    constexpr double all = std::is_same_v<T, double> ? 1e-9 : 2e-4;
    return {.number = all, .sum = 0, .loss = all, .norm = all, .entry = all, .relative = false};
  }

  static prefer::lm::products<T> products(std::string const& name) {
    if constexpr (std::is_same_v<T, float>) {
      return language::products_named(name);
    } else {
      return prefer::lm::eigen_products;
    }
  }

  static std::unique_ptr<golden_rows> big_rows(golden_file const& file) {
    return file.read([](auto const& all) {
      auto read = std::make_unique<golden_rows>();
      for (auto const& row : all.at("rows")) read->pairs.push_back(pair_of(row, false));
      read->number();
      return read;
    });
  }
  static std::vector<golden_reference> reference_of(golden_file const& file, char const* name) {
    return file.read([&](auto const& all) {
      std::vector<golden_reference> read;
      for (auto const& each : all.at(name)) {
        read.push_back(
            {each.at("chosen").template get<double>(), each.at("rejected").template get<double>()});
      }
      return read;
    });
  }

  static double allowed(double by, double expected) {
    return by * std::max(1.0, std::fabs(expected));
  }

  void compare_tokens(golden_file const& file, std::string const& part, llama& policy,
                      golden_rows const& rows, tolerances const& by) {
    comparison found(out_, file, part);
    auto const batch = rows.data.batch();
    std::vector<std::size_t> offset;
    policy.token_offsets(batch, offset);
    std::vector<T> said(offset.back());
    policy.token_log_prob(batch, said);
    for (std::size_t i = 0; i + 1 < offset.size(); ++i) {
      auto const& expected = rows.pairs[i / 2].log_prob[i % 2];
      std::string const where =
          "row " + std::to_string(i / 2) + (i % 2 == 0 ? " chosen" : " rejected");
      if (expected.size() != offset[i + 1] - offset[i]) {
        found.miss(where, std::to_string(offset[i + 1] - offset[i]) + " tokens",
                   std::to_string(expected.size()));
        continue;
      }
      double sums[2] = {};
      for (std::size_t t = 0; t != expected.size(); ++t) {
        auto const here = static_cast<double>(said[offset[i] + t]);
        found.number(where + " token " + std::to_string(t), here, expected[t],
                     by.relative ? by.number : allowed(by.number, expected[t]));
        sums[0] += here;
        sums[1] += expected[t];
      }
      if (by.sum > 0) found.number(where + " sum", sums[0], sums[1], by.sum);
    }
  }

  /// One DPO step's gradients; the norm of all of them.
  double compare_gradients(golden_file const& file, std::string const& of,
                           golden_file::json const& expected, llama& policy,
                           golden_rows const& rows, std::vector<golden_reference> const& reference,
                           double beta, tolerances const& by) {
    auto const batch = rows.data.batch();
    std::vector<T> said(batch.completions());
    policy.evaluate(batch, {.log_prob = said});
    std::vector<double> columns[4];
    for (std::size_t g = 0; g != batch.size(); ++g) {
      columns[0].push_back(static_cast<double>(said[2 * g]));
      columns[1].push_back(static_cast<double>(said[2 * g + 1]));
      columns[2].push_back(reference.at(g).chosen);
      columns[3].push_back(reference.at(g).rejected);
    }
    auto const result = prefer::evaluate(
        prefer::dpo{.beta = beta}, prefer::pair_columns{.policy = {columns[0], columns[1]},
                                                        .reference = {columns[2], columns[3]}});
    std::vector<T> coefficient(said.size());
    for (std::size_t g = 0; g != batch.size(); ++g) {
      coefficient[2 * g] = static_cast<T>(result.coefficient.chosen[g]);
      coefficient[2 * g + 1] = static_cast<T>(result.coefficient.rejected[g]);
    }
    policy.backward(batch, prefer::completion_gradients<T>{.log_prob = coefficient});
    policy.finish_backward();

    return file.read([&](auto const&) {
      {
        comparison loss(out_, file, of + "loss of DPO");
        double const golden = expected.at("loss").template get<double>();
        double mean = 0;
        for (double const each : result.value) mean += each / static_cast<double>(batch.size());
        loss.number("mean over the pairs", mean, golden,
                    by.relative ? by.loss : allowed(by.loss, golden));
      }
      comparison found(out_, file, of + "gradients");
      double total = 0;
      auto const parameters = policy.parameters();
      for (auto const& [name, golden] : expected.at("gradients").items()) {
        std::span<T const> gradient;
        bool known = false;
        for (auto const& each : parameters) {
          if (each.name != name && each.name != "base_model.model." + name) continue;
          gradient = each.gradient;
          known = true;
        }
        if (!known) {
          found.miss(name, "no such tensor", "one");
          continue;
        }
        compare_tensor(found, name, gradient, golden, by);
      }
      for (auto const& each : parameters) {
        for (T const g : each.gradient) total += static_cast<double>(g) * static_cast<double>(g);
      }
      return std::sqrt(total);
    });
  }

  static void compare_tensor(comparison& found, std::string const& name,
                             std::span<T const> gradient, golden_file::json const& golden,
                             tolerances const& by) {
    double squares = 0;
    for (T const g : gradient) squares += static_cast<double>(g) * static_cast<double>(g);
    double const norm = golden.at("norm").template get<double>();
    found.number(name + " norm", std::sqrt(squares), norm,
                 by.relative ? by.norm * norm : allowed(by.norm, norm));
    for (auto const& sample : golden.at("samples")) {
      auto const at = sample.at(0).template get<std::size_t>();
      double const value = sample.at(1).template get<double>();
      if (at >= gradient.size()) {
        found.miss(name, std::to_string(gradient.size()) + " numbers",
                   "more than " + std::to_string(at));
        continue;
      }
      found.number(name + " [" + std::to_string(at) + "]", static_cast<double>(gradient[at]), value,
                   by.relative ? by.entry * norm : allowed(by.entry, value));
    }
  }

  void tokens(golden_file const& file) {
    if (!file.has("tokenizer")) return;
    comparison found(out_, file, "tokenizer");
    file.read([&](auto const& all) {
      for (auto const& each : all.at("tokenizer")) {
        auto const text = each.at("text").template get<std::string>();
        ids const expected = each.at("ids").template get<ids>();
        ids here;
        words_.encode_parsed(text, here);
        found.same("\"" + text + "\"", here == expected, in_words(here), in_words(expected));
        std::string const decoded = words_.decode(expected);
        auto const golden = each.at("decoded").template get<std::string>();
        found.same("\"" + text + "\" decoded", decoded == golden, "\"" + decoded + "\"",
                   "\"" + golden + "\"");
      }
    });
  }

  /// Each token of a greedy continuation is the most likely one after those before it.
  void greedy(golden_file const& file, golden_rows const& rows) {
    if (!file.has("greedy")) return;
    comparison found(out_, file, "greedy continuations");
    prefer::token_sequences texts;
    prefer::choice_data data;
    file.read([&](auto const& all) {
      for (std::size_t g = 0; g != rows.pairs.size(); ++g) {
        std::uint32_t const prompt = texts.prompts.add(rows.pairs[g].prompt);
        ids const written = all.at("greedy").at(g).template get<ids>();
        data.add_labelled(prompt, texts.completions.add(written), true);
      }
    });
    llama policy(base_, texts, {.by = by_});
    std::vector<T> share(data.size());
    policy.evaluate(data.batch(), {.token_accuracy = share});
    for (std::size_t g = 0; g != share.size(); ++g) {
      found.same("row " + std::to_string(g), share[g] == T(1),
                 "a share of " + std::to_string(share[g]) + " of the tokens the most likely one",
                 "all");
    }
  }

  llama with_adapter(std::string const& path, prefer::token_sequences const& texts) {
    auto const saved = prefer::lm::read_adapter<T>(path, file_.config());
    auto const warning = prefer::lm::warning_of_base({"score --check", path, 0}, saved, file_);
    if (warning) program::warn(*warning);
    auto const how = prefer::lm::lora_options_of(saved);
    llama policy(base_, texts, how, {.by = by_});
    prefer::lm::copy_adapter({"score --check", path, 0}, saved, policy.parameters(), how);
    policy.parameters_moved();
    return policy;
  }

  void adapted(golden_file const& file, golden_rows rows,
               std::vector<golden_reference> const& reference, double beta) {
    std::string const folder =
        !options_.adapter.empty() ? options_.adapter : file.folder() + "/adapter";
    llama policy = with_adapter(folder, rows.texts);
    auto const expected = file.read([&](auto const& all) {
      for (std::size_t g = 0; g != rows.pairs.size(); ++g) {
        auto const& said = all.at("adapter").at("log_probs").at(g);
        rows.pairs[g].log_prob[0] = said.at("chosen").template get<std::vector<double>>();
        rows.pairs[g].log_prob[1] = said.at("rejected").template get<std::vector<double>>();
      }
      return all.at("adapter");
    });
    compare_tokens(file, "adapter: token log-probabilities", policy, rows, small());
    compare_gradients(file, "adapter: ", expected, policy, rows, reference, beta, small());
  }

  language::model_options const& options_;
  check_outcome& out_;
  prefer::thread_pool pool_;
  prefer::lm::model_file file_;
  prefer::lm::tokenizer words_;
  prefer::lm::arithmetic<T> by_;
  std::shared_ptr<prefer::lm::llama_base<T> const> base_;
};

template <class T>
check_outcome check_files(language::model_options const& options,
                          std::vector<std::string> const& names) {
  std::vector<golden_file> files;
  for (auto const& name : names) files.emplace_back(name);
  check_outcome out;
  checker<T> check(options, out);
  for (golden_file const& file : files) {
    if (file.has("full")) {
      check.tiny(file);
    } else if (file.has("gradients")) {
      auto const rows = std::find_if(files.begin(), files.end(), [](golden_file const& other) {
        return other.has("rows") && !other.has("full");
      });
      if (rows != files.end()) {
        check.gradients(file, *rows);
      } else {
        check.gradients(file, golden_file(file.folder() + "/log_probs.json"));
      }
    } else if (file.has("rows")) {
      check.log_probs(file);
    } else {
      file.fail(
          "is neither log_probs.json, gradients.json nor golden.json: it has none of rows, "
          "gradients and full");
    }
  }
  return out;
}

}  // namespace score
